// schema-members.ts - the fields of gateways and backends.
//
// Owns: their shape, defaults and documentation. Must never: compare fields; that is build.ts.

import { z } from "zod";
import { address, choice, interfaceName, map, mustBe, oneOrMore, percent, speed, whole } from "./field-types.js";

const interfaces = () => oneOrMore(interfaceName(), "an interface's name or a list of names");

export const gatewaySchema = map({
	interface: interfaces().describe("Interfaces where packets for services arrive."),
	address: oneOrMore(address(), "an address or a list of addresses")
		.optional()
		.describe("Source addresses of the tunnel. Default: those of the interface."),
});

const uplink = map({
	address: oneOrMore(address(), "an address or a list of addresses").describe(
		"Those of the backend's addresses that are reached through this link.",
	),
	interface: interfaceName()
		.optional()
		.describe("Interface whose counters and speed are read. Default: the one that carries the address."),
	speed: speed().optional().describe("Speed in each direction, such as 100Mbit or 10Gbit. Default: the driver's."),
	cost: whole(1, 1000, "a cost")
		.default(1)
		.describe("Relative price: a link of cost 2 gets half of what its headroom would give it."),
	cap: percent()
		.default("95%")
		.describe("Use above which the link gets no new sessions, while another link of the backend is below its own cap."),
});

export const backendSchema = map({
	address: oneOrMore(address(), "an address or a list of addresses").describe(
		"The backend's own addresses; several of one family (one per uplink) share its weight.",
	),
	interface: interfaces()
		.optional()
		.describe("Interfaces where the tunnel arrives. Default: the one that carries the address."),
	state: choice(["active", "draining", "inactive"])
		.default("active")
		.describe("active: gets new sessions. draining: keeps its sessions, gets no new ones. inactive: gets no packets."),
	capacity: whole(1, 2 ** 31)
		.optional()
		.describe("Sessions that make this backend full. Default: load.capacity."),
	uplinks: z
		.array(uplink, { error: mustBe("a list of uplinks { address, interface, speed, cost, cap }") })
		.default([])
		.describe("The links that carry the addresses; new sessions follow their headroom."),
});

export type BackendFields = z.output<typeof backendSchema>;
