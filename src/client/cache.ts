// cache.ts - what a client caches of a service beyond one flow, and of all services across restarts.
//
// Owns: leased and permanent bindings, bars on failed targets, how often a service has redirected, and which services
// have no capability. Machines of the same service share one ServiceCache. Times are milliseconds since 1970.
// Must never: hold what belongs to one flow only, or trust what it imports: a machine checks and probes it again.

import {
	decodeHeader,
	type Endpoint,
	encodeHeader,
	endpointOf,
	endpointText,
	type Header,
	parseEndpoint,
} from "../wire/index.js";

export type Term = "once" | "leased" | "permanent";

export interface Binding {
	readonly target: Endpoint;
	readonly term: Term;
	/** Its end; Infinity with `once`. */
	readonly until: number;
	/** The redirect that granted it. */
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

/** Plain data for JSON. */
export interface CacheData {
	readonly version: 1;
	readonly services: readonly CacheEntry[];
}

/** The cache of one service. */
export class ServiceCache {
	/** Leased or permanent. */
	binding: Binding | undefined;
	/** Whether the target has answered since this process began. */
	verified = false;
	/** The gateway has no capability, until then. */
	plainUntil = 0;
	/** The limit on redirections was reached, or policy forbade one: the service stays with the gateway until then. */
	stayUntil = 0;
	/** When the last redirections were accepted. */
	redirections: number[] = [];
	readonly barred = new Map<string, Bar>();
	/** The flow that queries the gateway, or did last. */
	querying: { readonly busy: boolean } | undefined;
	#lastNow = Number.NEGATIVE_INFINITY;

	/** A clock that was set back must not lengthen anything: all times are set back with it. */
	adjustClock(now: number): void {
		if (now < this.#lastNow - 1000) {
			const by = now - this.#lastNow;
			if (this.binding !== undefined) this.binding = { ...this.binding, until: this.binding.until + by };
			this.plainUntil += by;
			this.stayUntil += by;
			this.redirections = this.redirections.map((at) => at + by);
			for (const [key, bar] of this.barred) this.barred.set(key, { ...bar, until: bar.until + by });
		}
		this.#lastNow = now;
	}

	isBarred(target: Endpoint, now: number): boolean {
		return (this.barred.get(endpointText(target))?.until ?? 0) > now;
	}

	/** Bars a target for `firstMs`, or for twice the last period, up to `maxMs`, if that bar ended less than `maxMs`
	 * ago. */
	bar(target: Endpoint, now: number, firstMs: number, maxMs: number): void {
		const key = endpointText(target);
		const last = this.barred.get(key);
		const repeated = last !== undefined && now < last.until + maxMs;
		for (const [other, bar] of this.barred) if (now >= bar.until + maxMs) this.barred.delete(other);
		const period = repeated ? Math.min(2 * last.period, maxMs) : Math.min(firstMs, maxMs);
		this.barred.set(key, { until: now + period, period });
	}
}

const MAX_SERVICES = 10_000;

/** The caches of all services, by name: `udp 203.0.113.53:53`. */
export class RedirectionCache {
	readonly #services = new Map<string, ServiceCache>();

	of(protocol: "udp" | "tcp", service: Endpoint): ServiceCache {
		const key = `${protocol} ${endpointText(service)}`;
		let cache = this.#services.get(key);
		if (cache === undefined) {
			if (this.#services.size >= MAX_SERVICES) this.#evict();
			cache = new ServiceCache();
			this.#services.set(key, cache);
		}
		return cache;
	}

	/** Evicts entries without useful content, or, if there are none, the oldest entry. */
	#evict(now = Date.now()): void {
		const before = this.#services.size;
		for (const [key, { binding, plainUntil, stayUntil }] of this.#services)
			if (binding === undefined && plainUntil <= now && stayUntil <= now) this.#services.delete(key);
		const [oldest] = this.#services.keys();
		if (this.#services.size === before && oldest !== undefined) this.#services.delete(oldest);
	}

	/** What is still in force at `now`. */
	export(now = Date.now()): CacheData {
		const services: CacheEntry[] = [];
		for (const [service, cache] of this.#services) {
			const { binding } = cache;
			const inForce = binding !== undefined && binding.term !== "once" && binding.until > now;
			const barred = [...cache.barred].filter(([, bar]) => bar.until > now);
			const entry: CacheEntry = {
				service,
				...(inForce ? { binding: exportBinding(binding) } : {}),
				...(cache.plainUntil > now ? { plainUntil: cache.plainUntil } : {}),
				...(cache.stayUntil > now ? { stayUntil: cache.stayUntil } : {}),
				...(cache.redirections.length > 0 ? { redirections: cache.redirections } : {}),
				...(barred.length > 0 ? { barred: barred.map(([target, bar]) => ({ target, ...bar })) } : {}),
			};
			if (Object.keys(entry).length > 1) services.push(entry);
		}
		return { version: 1, services };
	}

	/** Reads what `export` wrote. Invalid entries are skipped. Returns the number of entries read. */
	import(data: unknown, now = Date.now()): number {
		const list = isObject(data) && data.version === 1 && Array.isArray(data.services) ? data.services : [];
		let count = 0;
		for (const entry of list) {
			if (!isObject(entry) || typeof entry.service !== "string") continue;
			const match = /^(udp|tcp) (.+)$/.exec(entry.service);
			const service = parseEndpoint(match?.[2] ?? "");
			if (service === undefined) continue;
			const cache = this.of(match?.[1] as "udp" | "tcp", service);
			cache.binding = importBinding(entry.binding, now) ?? cache.binding;
			cache.verified = false;
			cache.plainUntil = futureTime(entry.plainUntil, now) ?? cache.plainUntil;
			cache.stayUntil = futureTime(entry.stayUntil, now) ?? cache.stayUntil;
			if (Array.isArray(entry.redirections))
				cache.redirections = entry.redirections.filter((at) => typeof at === "number" && at <= now).slice(-64);
			for (const bar of Array.isArray(entry.barred) ? entry.barred : []) {
				const target = isObject(bar) && typeof bar.target === "string" ? parseEndpoint(bar.target) : undefined;
				const until = futureTime(bar?.until, now);
				if (target === undefined || until === undefined || !(bar.period > 0 && bar.period < 3_600_000)) continue;
				cache.barred.set(endpointText(target), { until, period: bar.period });
			}
			count++;
		}
		return count;
	}
}

const DAY = 86_400_000;

function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null;
}

/** A time in the future, at most a day ahead. */
function futureTime(value: unknown, now: number): number | undefined {
	return typeof value === "number" && value > now && value <= now + DAY ? value : undefined;
}

function exportBinding(binding: Binding): NonNullable<CacheEntry["binding"]> {
	const ticket = Buffer.from(encodeHeader(binding.ticket)).toString("hex");
	return { term: binding.term as "leased" | "permanent", until: binding.until, ticket };
}

function importBinding(value: unknown, now: number): Binding | undefined {
	if (!isObject(value) || typeof value.ticket !== "string") return undefined;
	const until = futureTime(value.until, now);
	const { term } = value;
	const result = decodeHeader(Uint8Array.from(Buffer.from(value.ticket, "hex")));
	if (until === undefined || (term !== "leased" && term !== "permanent")) return undefined;
	if (!result.ok || result.header.type !== "redirect") return undefined;
	const { address, port } = result.header;
	return { target: endpointOf(address, port), term, until, ticket: result.header };
}
