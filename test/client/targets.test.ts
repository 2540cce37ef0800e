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
		["2001:db8::53", "64:ff9b::198.51.100.1", undefined, true],
		["2001:db8::53", "64:ff9b::127.0.0.1", undefined, false],
		["2001:db8::53", "64:ff9b::127.0.0.1", ["64:ff9b::/96"], false],
		["2001:db8::53", "64:ff9b::169.254.169.254", ["::/0"], false],
		["2001:db8::53", "64:ff9b::10.0.0.1", ["64:ff9b::/96"], false],
		["fd00::53", "64:ff9b::10.0.0.1", undefined, true],
		["2001:db8::53", "64:ff9b:1:7f00:0:100::", undefined, false], // a /48
		["2001:db8::53", "64:ff9b:1:7f:0:1::", undefined, false], // a /56
		["2001:db8::53", "64:ff9b:1:0:7f:0:100:0", undefined, false], // a /64
		["2001:db8::53", "64:ff9b:1::127.0.0.1", undefined, false],
		["2001:db8::53", "2002:7f00:1::", undefined, false],
		["2001:db8::53", "2002:c633:6401::1", undefined, true],
		["2001:db8::53", "2002:a00:1::1", undefined, false],
		["2001:db8::53", "2001:0:c633:6401::80ff:fffe", undefined, false], // Teredo of 127.0.0.1
		["2001:db8::53", "2001:0:7f00:1::39cc:9bfe", undefined, false], // its server 127.0.0.1
		["2001:db8::53", "2001:0:c633:6401::39cc:9bfe", undefined, true],
		["2001:db8::53", "::ffff:0:127.0.0.1", undefined, false],
		["2001:db8::53", "::ffff:0:10.0.0.1", ["::/0"], false],
		["2001:db8::53", "2001:db8::5efe:192.168.0.1", undefined, false], // ISATAP
		["2001:db8::53", "2001:db8::200:5efe:127.0.0.1", ["2001:db8::/32"], false],
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
