// memory.ts - what a client remembers of one service beyond a flow, and of all services across restarts.
//
// Owns: leased and permanent bindings, bars on failed targets, how often a service has redirected, and which services have
// no capability. Machines of the same service share one Memory. Times are milliseconds since 1970.
// Must never: hold what belongs to one flow alone, or trust what it reads back: a machine checks and probes it again.

import { decodeHeader, encodeHeader, type Header } from "../wire/index.js";
import { type Endpoint, endpointOf, readEndpoint, textOf } from "./endpoint.js";

export type Term = "once" | "leased" | "permanent";

export interface Binding {
	readonly target: Endpoint;
	readonly term: Term;
	/** From then on it is not used; Infinity with `once`. */
	readonly until: number;
	/** The redirect that gave it. */
	readonly ticket: Header;
}

export interface Bar {
	readonly until: number;
	readonly period: number;
}

export interface CacheEntry {
	readonly service: string;
	readonly binding?: { readonly term: "leased" | "permanent"; readonly until: number; readonly ticket: string };
	readonly plainUntil?: number;
	readonly stayUntil?: number;
	readonly redirections?: readonly number[];
	readonly barred?: readonly { readonly target: string; readonly until: number; readonly period: number }[];
}

/** What JSON.stringify can write and JSON.parse gives back. */
export interface CacheData {
	readonly version: 1;
	readonly services: readonly CacheEntry[];
}

export class Memory {
	/** Leased or permanent. */
	binding: Binding | undefined;
	/** Whether the target has answered since this process began. */
	verified = false;
	/** No capability there, until then. */
	plainUntil = 0;
	/** Too many redirections, or one that policy refused: with the gateway until then. */
	stayUntil = 0;
	/** When the last ones were taken. */
	redirections: number[] = [];
	readonly barred = new Map<string, Bar>();
	/** The machine that asks, or asked last. */
	asker: { readonly busy: boolean } | undefined;
	#last = Number.NEGATIVE_INFINITY;

	/** A clock that was set back must not lengthen anything: all times go back with it. */
	steady(now: number): void {
		if (now < this.#last - 1000) {
			const by = now - this.#last;
			if (this.binding !== undefined) this.binding = { ...this.binding, until: this.binding.until + by };
			this.plainUntil += by;
			this.stayUntil += by;
			this.redirections = this.redirections.map((at) => at + by);
			for (const [key, bar] of this.barred) this.barred.set(key, { ...bar, until: bar.until + by });
		}
		this.#last = now;
	}

	isBarred(target: Endpoint, now: number): boolean {
		return (this.barred.get(textOf(target))?.until ?? 0) > now;
	}

	/** Bars a target: for `first`, and twice as long as the last time if that has ended not longer than `most` ago. */
	bar(target: Endpoint, now: number, first: number, most: number): void {
		const key = textOf(target);
		const before = this.barred.get(key);
		const again = before !== undefined && now < before.until + most;
		for (const [other, bar] of this.barred) if (now >= bar.until + most) this.barred.delete(other);
		const period = again ? Math.min(2 * before.period, most) : Math.min(first, most);
		this.barred.set(key, { until: now + period, period });
	}
}

/** Services that are remembered at once. */
const MOST = 10_000;

/** Memories by service: `udp 203.0.113.53:53`. */
export class Cache {
	readonly #memories = new Map<string, Memory>();

	of(protocol: "udp" | "tcp", service: Endpoint): Memory {
		const key = `${protocol} ${textOf(service)}`;
		let memory = this.#memories.get(key);
		if (memory === undefined) {
			if (this.#memories.size >= MOST) this.#forget();
			memory = new Memory();
			this.#memories.set(key, memory);
		}
		return memory;
	}

	/** Those that know nothing of use, and if all do, the oldest. */
	#forget(now = Date.now()): void {
		const before = this.#memories.size;
		for (const [key, { binding, plainUntil, stayUntil }] of this.#memories)
			if (binding === undefined && plainUntil <= now && stayUntil <= now) this.#memories.delete(key);
		const [oldest] = this.#memories.keys();
		if (this.#memories.size === before && oldest !== undefined) this.#memories.delete(oldest);
	}

	/** What is still worth keeping at `now`. */
	export(now = Date.now()): CacheData {
		const services: CacheEntry[] = [];
		for (const [service, memory] of this.#memories) {
			const { binding } = memory;
			const inForce = binding !== undefined && binding.term !== "once" && binding.until > now;
			const barred = [...memory.barred].filter(([, bar]) => bar.until > now);
			const entry: CacheEntry = {
				service,
				...(inForce ? { binding: written(binding) } : {}),
				...(memory.plainUntil > now ? { plainUntil: memory.plainUntil } : {}),
				...(memory.stayUntil > now ? { stayUntil: memory.stayUntil } : {}),
				...(memory.redirections.length > 0 ? { redirections: memory.redirections } : {}),
				...(barred.length > 0 ? { barred: barred.map(([target, bar]) => ({ target, ...bar })) } : {}),
			};
			if (Object.keys(entry).length > 1) services.push(entry);
		}
		return { version: 1, services };
	}

	/** Takes what `export` gave, whatever has become of it since: entries that are none are left out. How many were taken. */
	import(data: unknown, now = Date.now()): number {
		const list = isObject(data) && data.version === 1 && Array.isArray(data.services) ? data.services : [];
		let taken = 0;
		for (const entry of list) {
			if (!isObject(entry) || typeof entry.service !== "string") continue;
			const match = /^(udp|tcp) (.+)$/.exec(entry.service);
			const service = readEndpoint(match?.[2] ?? "");
			if (service === undefined) continue;
			const memory = this.of(match?.[1] as "udp" | "tcp", service);
			memory.binding = read(entry.binding, now) ?? memory.binding;
			memory.verified = false;
			memory.plainUntil = soon(entry.plainUntil, now) ?? memory.plainUntil;
			memory.stayUntil = soon(entry.stayUntil, now) ?? memory.stayUntil;
			if (Array.isArray(entry.redirections))
				memory.redirections = entry.redirections.filter((at) => typeof at === "number" && at <= now).slice(-64);
			for (const bar of Array.isArray(entry.barred) ? entry.barred : []) {
				const target = isObject(bar) && typeof bar.target === "string" ? readEndpoint(bar.target) : undefined;
				const until = soon(bar?.until, now);
				if (target === undefined || until === undefined || !(bar.period > 0 && bar.period < 3_600_000)) continue;
				memory.barred.set(textOf(target), { until, period: bar.period });
			}
			taken++;
		}
		return taken;
	}
}

const DAY = 86_400_000;

function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null;
}

/** A time to come, within what any of them may last. */
function soon(value: unknown, now: number): number | undefined {
	return typeof value === "number" && value > now && value <= now + DAY ? value : undefined;
}

function written(binding: Binding): NonNullable<CacheEntry["binding"]> {
	const ticket = Buffer.from(encodeHeader(binding.ticket)).toString("hex");
	return { term: binding.term as "leased" | "permanent", until: binding.until, ticket };
}

function read(value: unknown, now: number): Binding | undefined {
	if (!isObject(value) || typeof value.ticket !== "string") return undefined;
	const until = soon(value.until, now);
	const { term } = value;
	const result = decodeHeader(Uint8Array.from(Buffer.from(value.ticket, "hex")));
	if (until === undefined || (term !== "leased" && term !== "permanent")) return undefined;
	if (!result.ok || result.header.type !== "redirect") return undefined;
	const { address, port } = result.header;
	return { target: endpointOf(address, port), term, until, ticket: result.header };
}
