// own-backend.test.ts - a backend at an address of the gateway's own host is refused by name.

import { describe, expect, test } from "vitest";
import { refuseOwnBackend } from "../../src/gateway/own-backend.js";

const backends = [
	{ name: "b1", addresses: ["10.77.3.11", "fd77:3::11"] },
	{ name: "b2", addresses: ["10.77.3.12"] },
];

describe("a gateway that is also a backend", () => {
	test("R33: an address that this host shares with a backend is refused, with the backend's name and the remedy", () => {
		for (const [address, backend] of [
			["10.77.3.12", "b2"],
			["fd77:3:0:0::11", "b1"],
		] as const) {
			expect(() => refuseOwnBackend(backends, ["127.0.0.1", address])).toThrow(
				expect.objectContaining({
					code: "SHUNT_GATEWAY_IS_BACKEND",
					message: expect.stringMatching(new RegExp(`of backend ${backend} is an address of this host`)),
					hint: expect.stringMatching(/different hosts/),
				}),
			);
		}
	});

	test("R33: a host without any backend's address is accepted", () => {
		expect(() => refuseOwnBackend(backends, ["127.0.0.1", "10.77.2.2", "fe80::1", "not an address"])).not.toThrow();
	});
});
