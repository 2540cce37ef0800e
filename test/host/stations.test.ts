// stations.test.ts - the MAC addresses whose frames are for this host.

import { describe, expect, test } from "vitest";
import { Stations } from "../../src/host/stations.js";

const never = () => {
	throw new Error("nothing has changed");
};

describe("stations", () => {
	const none = Buffer.alloc(6);

	test("R27: each interface's own MAC address, and the configured ones at each", () => {
		const stations = new Stations(["lo", "no-such-if"]);
		expect(stations.read([], never)).toEqual([{ ifindex: 1, mac: none }]);
		expect(stations.read(["00005e000133"], never)).toEqual([
			{ ifindex: 1, mac: none },
			{ ifindex: 1, mac: Buffer.from("00005e000133", "hex") },
		]);
		stations.close();
	});

	test("R27: any, and more addresses than the tables hold, accept every frame", () => {
		const stations = new Stations(Array.from({ length: 5 }, () => "lo"));
		expect(stations.read("any", never)).toEqual([]);
		const seven = Array.from({ length: 7 }, (_, i) => `00005e00010${i}`);
		expect(stations.read(seven, never)).toEqual([]);
		stations.close();
	});
});
