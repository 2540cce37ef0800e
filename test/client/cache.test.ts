// Export and import of the cache.

import { describe, expect, test } from "vitest";
import { RedirectionCache } from "../../src/client/index.js";
import { SERVICE, START } from "./bench.js";

describe("the cache", () => {
	test("imports only well-formed entries", () => {
		const ticket = "139014e9003c00016553f1000123456789abcdef0a00020ba5451cc61a9a2765";
		const entry = (more: object) => ({ version: 1, services: [{ service: "udp 203.0.113.53:53", ...more }] });
		const good = { term: "leased", until: START + 1000, ticket };
		const cases: [unknown, boolean][] = [
			[undefined, false],
			[[], false],
			[{ version: 2, services: [] }, false],
			[{ version: 1, services: [null, 3, { service: "udp nowhere" }] }, false],
			[entry({ binding: good }), true],
			[entry({ binding: { ...good, until: START - 1 } }), false],
			[entry({ binding: { ...good, until: START + 864e6 } }), false],
			[entry({ binding: { ...good, until: "never" } }), false],
			[entry({ binding: { ...good, term: "once" } }), false],
			[entry({ binding: { ...good, ticket: ticket.slice(2) } }), false],
			[entry({ binding: { ...good, ticket: ticket.replace("13", "12") } }), false],
			[entry({ binding: null, barred: [null, 3, { target: 4 }], redirections: ["x"] }), false],
		];
		for (const [data, taken] of cases) {
			const cache = new RedirectionCache();
			cache.import(data, START);
			expect(cache.of("udp", SERVICE).binding !== undefined, JSON.stringify(data)).toBe(taken);
		}
	});

	test("an exported cache is imported unchanged", () => {
		const cache = new RedirectionCache();
		const service = cache.of("udp", { address: "2001:db8::53", port: 53 });
		service.bar({ address: "2001:db8::1", port: 5353 }, START, 30_000, 300_000);
		service.plainUntil = START + 5;
		service.stayUntil = START + 6;
		service.redirections = [START - 1];
		const data = cache.export(START);
		const other = new RedirectionCache();
		expect(other.import(JSON.parse(JSON.stringify(data)), START)).toBe(1);
		expect(other.export(START)).toEqual(data);
	});
});
