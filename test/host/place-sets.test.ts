import { expect, test } from "vitest";
import { placeSet } from "../../src/host/place-sets.js";

const TYPE = "ipv4_addr . inet_proto . inet_service";
const at = (address: string, first: number, last = first, protocol = "udp") => ({ address, protocol, first, last });

test("R3: a set of single addresses and ports has no intervals", () => {
	const places = [at("203.0.113.1", 53), at("203.0.113.1", 53, 53, "tcp"), at("203.0.113.1", 53)];
	expect(placeSet("services4", TYPE, places)).toEqual({
		name: "services4",
		type: TYPE,
		elements: ["203.0.113.1 . udp . 53", "203.0.113.1 . tcp . 53"],
	});
});

test("R3: a place that another holds is left out of the set, for nft refuses elements that overlap", () => {
	const any = at("203.0.113.1", 1, 65_535);
	const places = [at("203.0.113.1", 53), any, at("203.0.113.1", 100, 200), at("203.0.113.1", 53, 53, "tcp"), any];
	expect(placeSet("services4", TYPE, places)).toMatchObject({
		elements: ["203.0.113.1 . udp . 1-65535", "203.0.113.1 . tcp . 53"],
		interval: true,
	});
	const prefixes = [at("203.0.113.0/28", 53), at("203.0.113.7", 53), at("203.0.113.7", 54), at("203.0.113.16", 53)];
	expect(placeSet("services4", TYPE, prefixes)).toMatchObject({
		elements: ["203.0.113.0/28 . udp . 53", "203.0.113.7 . udp . 54", "203.0.113.16 . udp . 53"],
		interval: true,
	});
	const addresses = [{ address: "203.0.113.0/28" }, { address: "203.0.113.3" }, { address: "203.0.114.3" }];
	expect(placeSet("addresses4", "ipv4_addr", addresses).elements).toEqual(["203.0.113.0/28", "203.0.114.3"]);
});
