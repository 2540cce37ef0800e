// Which addresses may be a target of which service.

import { describe, expect, test } from "vitest";
import { isPermittedTarget } from "../../src/client/index.js";
import { FLAG } from "../../src/wire/index.js";
import { Bench, kinds, prefixes } from "./bench.js";

describe("targets", () => {
	const rows: [service: string, target: string, listed: string[] | undefined, allowed: boolean][] = [
		["203.0.113.53", "198.51.100.1", undefined, true],
		["203.0.113.53", "198.51.100.1", ["198.51.100.0/24"], true],
		["203.0.113.53", "198.51.101.1", ["198.51.100.0/24"], false],
		["203.0.113.53", "10.0.0.1", undefined, false],
		["203.0.113.53", "10.0.0.1", ["0.0.0.0/0"], false],
		["203.0.113.53", "10.0.0.1", ["10.0.0.0/8"], true],
		["203.0.113.53", "100.64.0.1", undefined, false],
		["10.1.0.1", "10.0.0.1", undefined, true],
		["10.1.0.1", "192.168.0.1", ["10.0.0.0/8"], false],
		["203.0.113.53", "127.0.0.1", ["127.0.0.0/8"], false],
		["127.0.0.1", "127.0.0.2", undefined, false],
		["127.0.0.1", "127.0.0.2", ["0.0.0.0/0"], false],
		["127.0.0.1", "127.0.0.2", ["127.0.0.0/8"], true],
		["203.0.113.53", "169.254.169.254", ["169.254.0.0/16"], false],
		["203.0.113.53", "224.0.0.1", ["0.0.0.0/0"], false],
		["203.0.113.53", "255.255.255.255", ["0.0.0.0/0"], false],
		["203.0.113.53", "0.0.0.0", ["0.0.0.0/0"], false],
		["203.0.113.53", "2001:db8::1", undefined, true],
		["2001:db8::53", "::", ["::/0"], false],
		["2001:db8::53", "::1", ["::/0"], false],
		["2001:db8::53", "::10.0.0.1", ["::/0"], false],
		["2001:db8::53", "fe80::1", ["fe80::/10"], false],
		["2001:db8::53", "ff02::1", ["::/0"], false],
		["2001:db8::53", "fd00::1", undefined, false],
		["2001:db8::53", "fd00::1", ["fd00::/8"], true],
		["fd00::53", "fd00::1", undefined, true],
	];
	test.each(rows)("service %s, target %s, listed %j: %s", (service, target, listed, allowed) => {
		expect(isPermittedTarget(service, target, listed && prefixes(...listed))).toBe(allowed);
	});

	test("after a forbidden target the service stays with its gateway; mapped is forbidden", () => {
		for (const [address, more] of [
			["10.0.0.1", 0],
			["198.51.100.1", FLAG.ipv6],
		] as const) {
			const b = new Bench();
			b.route();
			const header = b.redirect({ address, port: 53 }, FLAG.permanent | more, { nonce: b.query.nonce });
			expect(kinds(b.receive(header))).toEqual(["notify"]);
			expect(b.state).toBe("staying");
			expect(b.machine.counters.declinedForbidden).toBe(1);
		}
	});
});
