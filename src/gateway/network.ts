/**
 * What the host's network stack knows, by iproute2: links, addresses, routes, neighbours.
 *
 * Owns: the questions, and their answers in our words.
 * Must never: change a route. The one thing it changes is a neighbour entry's `managed` flag (Linux 5.16), by which the
 * kernel itself keeps asking for the next hop's address, and it takes that back.
 */
import { ShuntError } from "../errors.js";
import { command, commandJson } from "./command.js";

export interface Link {
	readonly name: string;
	readonly ifindex: number;
	/** Bytes of an IP packet. */
	readonly mtu: number;
	/** 6 bytes; all zero where the link has no Ethernet. */
	readonly mac: Buffer;
	readonly up: boolean;
	/** Without link-local ones. */
	readonly addresses: readonly string[];
}

interface IpAddress {
	ifindex: number;
	ifname: string;
	flags: string[];
	mtu: number;
	address?: string;
	addr_info?: { local?: string; scope?: string }[];
}

/** Throws SHUNT_INTERFACE_MISSING. */
export async function link(name: string): Promise<Link> {
	let found: IpAddress[];
	try {
		found = await commandJson<IpAddress[]>("ip", ["-json", "address", "show", "dev", name]);
	} catch {
		throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name });
	}
	const one = found.find((entry) => entry.ifname === name);
	if (one === undefined) throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name });
	return {
		name,
		ifindex: one.ifindex,
		mtu: one.mtu,
		mac: macBytes(one.address) ?? Buffer.alloc(6),
		up: one.flags.includes("UP"),
		addresses: (one.addr_info ?? []).flatMap((info) => (info.local && info.scope !== "link" ? [info.local] : [])),
	};
}

export interface Route {
	readonly dev: string;
	/** The address to ask for on the link: the gateway's, or the destination's own. */
	readonly nextHop: string;
	readonly source: string;
}

interface IpRoute {
	type?: string;
	dev?: string;
	gateway?: string;
	via?: { host: string };
	prefsrc?: string;
	dst: string;
}

/** The way to an address; undefined if there is none, or it ends on this host. */
export async function route(destination: string): Promise<Route | undefined> {
	let found: IpRoute[];
	try {
		found = await commandJson<IpRoute[]>("ip", ["-json", "route", "get", destination]);
	} catch {
		return undefined;
	}
	const one = found[0];
	if (!one?.dev || !one.prefsrc || one.type === "local" || one.type === "unreachable") return undefined;
	return { dev: one.dev, nextHop: one.gateway ?? one.via?.host ?? destination, source: one.prefsrc };
}

interface IpNeighbour {
	lladdr?: string;
	state?: string[];
}

/** States in which the kernel itself would send to the entry (RFC 4861 7.3.2; PERMANENT and NOARP are set by hand). */
const USABLE = new Set(["REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT", "NOARP"]);

/** The Ethernet address of a neighbour; null while it has not answered. */
export async function neighbour(dev: string, address: string): Promise<Buffer | null> {
	const found = await commandJson<IpNeighbour[]>("ip", ["-json", "neighbour", "show", "to", address, "dev", dev]);
	const one = found[0];
	if (!one?.state?.some((state) => USABLE.has(state))) return null;
	return macBytes(one.lladdr) ?? null;
}

/** From now on the kernel asks for this neighbour by itself, again and again, whether packets go there or not. */
export async function keepAsking(dev: string, address: string): Promise<void> {
	await command("ip", ["neighbour", "replace", address, "dev", dev, "managed"]);
}

/** Takes that back. What the kernel knows of the neighbour stays. */
export async function stopAsking(dev: string, address: string): Promise<void> {
	await command("ip", ["neighbour", "change", address, "dev", dev, "nud", "stale"]).catch(() => {});
}

function macBytes(text: string | undefined): Buffer | undefined {
	if (text === undefined || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return undefined;
	return Buffer.from(text.replaceAll(":", ""), "hex");
}
