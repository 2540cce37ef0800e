// publisher.test.ts - what the publisher does with health before it compiles tables.

import { describe, expect, test } from "vitest";
import type { Shares, Target } from "../../src/database/index.js";
import { readSnapshot, StaticStore, targetsOf } from "../../src/database/index.js";
import { ALL_UNKNOWN } from "../../src/health/index.js";
import { withoutUnhealthy } from "../../src/member/publisher.js";
import { config, DNS } from "../database/fixture.js";

async function targets(): Promise<Target[]> {
	const store = await StaticStore.open(config(DNS));
	const snapshot = await readSnapshot(store);
	await store.close();
	return snapshot.services.flatMap((service) => targetsOf(snapshot, service, service.redirection));
}

const unhealthy = (...keys: string[]) =>
	new Map(keys.map((key) => [key, { health: "unhealthy", since: 0, reason: "" } as const]));

describe("unhealthy targets", () => {
	const shares: Shares = { factors: new Map([["b1", 0.5]]), addresses: new Map(), down: new Set(["10.0.0.9"]) };

	test("where all are unknown, the shares are compiled as they are", async () => {
		expect(withoutUnhealthy(shares, await targets(), ALL_UNKNOWN)).toBe(shares);
		expect(withoutUnhealthy(undefined, await targets(), ALL_UNKNOWN)).toBeUndefined();
	});

	test("an unhealthy target's address is down, beside those whose uplink is", async () => {
		const all = await targets();
		const address = all[0]!.address;
		const keys = all.filter((one) => one.address === address).map(({ key }) => key);
		expect(withoutUnhealthy(shares, all, unhealthy(...keys))).toEqual({
			...shares,
			down: new Set(["10.0.0.9", address]),
		});
		expect(withoutUnhealthy(undefined, all, unhealthy(...keys))?.down).toEqual(new Set([address]));
	});
});
