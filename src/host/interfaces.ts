/**
 * The host's interfaces and addresses, and the network namespace that they are in.
 *
 * Owns: every reading of an interface or address list in TypeScript.
 * Must never: change an interface or an address; addresses.ts does.
 */
import { statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { parseAddress } from "../config/index.js";
import { host } from "../engine/index.js";
import { ShuntError } from "../errors.js";
import { commandJson } from "./command.js";

export interface InterfaceAddress {
	readonly interface: string;
	/** As iproute2 writes it. */
	readonly address: string;
	readonly prefixLength: number;
}

/** The inode number of the network namespace: unique among those that exist. */
export function networkNamespace(): string {
	return statSync("/proc/self/ns/net").ino.toString();
}

/** This is process 1's network namespace: the host's, or its container's. */
export function isHostNamespace(): boolean {
	try {
		return statSync("/proc/1/ns/net").ino.toString() === networkNamespace();
	} catch {
		return false; // not for this user to see
	}
}

/** Throws SHUNT_INTERFACE_MISSING. */
export function requireInterface(name: string): void {
	try {
		host().link(name);
	} catch {
		throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name });
	}
}

/** All addresses of one interface, or of all, with or without carrier. Throws SHUNT_COMMAND_FAILED, also if the
 * interface does not exist. */
export async function interfaceAddresses(name?: string): Promise<InterfaceAddress[]> {
	interface Entry {
		ifname?: string;
		addr_info?: { local?: string; prefixlen?: number }[];
	}
	const filter = name === undefined ? [] : ["show", "dev", name];
	const entries = await commandJson<Entry[]>("ip", ["-json", "address", ...filter]);
	return entries.flatMap(({ ifname = "", addr_info = [] }) =>
		addr_info.flatMap(({ local, prefixlen = 0 }) =>
			local === undefined ? [] : [{ interface: ifname, address: local, prefixLength: prefixlen }],
		),
	);
}

/** Interface name by address, canonical text; only of interfaces that are up and have a carrier. Starts no process, so
 * that it can be called every period. */
export function interfacesByAddress(): Map<string, string> {
	return new Map(
		Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
			addresses.map(({ address }): [string, string] => [parseAddress(address)?.text ?? address, name]),
		),
	);
}
