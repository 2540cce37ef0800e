// balance.ts - from what is heard of backends to what tables are compiled from: one step of the loop that closes
// load → choice → load (R11, R12, R18). The daemon takes it once a period, and the simulator takes the very same.
//
//   reports, own sessions → believed loads → factors of weights          (choose: weighted)
//                                          → loads of targets            (choose: least-load, database/loads.ts)
//   links' use and speed  → shares of a backend's addresses
//   silence of an address → that address is down
//
// Two gateways that hear the same reports have the same loads, shares and downs. Their factors are alike if they began together;
// one that began later has learnt less, and may keep others. So `maglev` and `source-hash` are chosen by alike always,
// `weighted` mostly, `least-load` not (R19).
//
// Must never: look at a clock, or at anything but its arguments: same input, same output.

import { type Factor, NEUTRAL, nextFactor } from "./factors.js";
import { type Believed, believed, type Heard } from "./freshness.js";
import { nextShares, sharesMoved, type UplinkNow, type UplinkShare } from "./uplinks.js";

export interface BackendNow extends Heard {
	/** Backends among which some redirection divides clients, directly or through others: loads are compared within one. */
	readonly pool: string;
	/** It may get new sessions. */
	readonly active: boolean;
	/** Each address in one of them. */
	readonly uplinks: readonly BalancedUplink[];
}

export interface BalancedUplink {
	readonly addresses: readonly string[];
	readonly cost: number;
	readonly cap: number;
	/** As last reported; undefined: never. */
	readonly reported?: { readonly up: boolean; readonly speedBps: number; readonly usedBps: number } | undefined;
}

export interface BalanceInput {
	/** Milliseconds, of a clock that never jumps; as all times here. */
	readonly now: number;
	readonly staleMs: number;
	/** Of the reports: shares and factors are adjusted once a period, however often a step is taken. */
	readonly periodMs: number;
	/** Some service is chosen for by weights that follow loads: else factors are left alone, and nothing is published for them. */
	readonly weighted: boolean;
	readonly backends: readonly BackendNow[];
	/** By address: since when it has been queried for its load, and when it answered last. Not in the map: never queried. */
	readonly queries: ReadonlyMap<string, { readonly since: number; readonly answered: number | undefined }>;
}

export interface Balance {
	/** When shares and factors were adjusted last. */
	readonly adjustedAt: number;
	readonly loads: ReadonlyMap<string, Believed>;
	/** By backend. */
	readonly factors: ReadonlyMap<string, Factor>;
	/** By address: its part of its backend's addresses of one family, as published. */
	readonly shares: ReadonlyMap<string, number>;
	readonly down: ReadonlySet<string>;
	/** What the next step goes on from: shares before the dead band, and since when an address that was down has been up again. */
	readonly links: ReadonlyMap<string, UplinkShare>;
	readonly well: ReadonlyMap<string, number>;
}

export function balance(before: Balance | undefined, input: BalanceInput): Balance {
	const { now, staleMs, backends } = input;
	const pools = poolsOf(backends);
	const loads = new Map(pools.flatMap((members) => [...believed(members, now, staleMs)]));
	const elapsed = before === undefined ? 0 : now - before.adjustedAt;
	const due = before === undefined || elapsed >= input.periodMs;
	const { down, well } = downs(before, input);

	const shares = new Map<string, number>();
	const links = new Map<string, UplinkShare>();
	for (const backend of backends) {
		const heardLately = backend.report !== undefined && now - backend.report.receivedAt <= staleMs;
		for (const family of ["ipv4", "ipv6"] as const) shareOut(backend, family, heardLately && due);
	}
	const seconds = due && input.weighted ? elapsed / 1000 : undefined;
	const factors = new Map(pools.flatMap((members) => [...factorsOf(before, members, loads, seconds)]));
	return { adjustedAt: due ? now : before.adjustedAt, loads, factors, shares, down, links, well };

	function shareOut({ uplinks }: BackendNow, family: "ipv4" | "ipv6", adjust: boolean): void {
		const members = uplinks
			.map((uplink) => ({
				uplink,
				addresses: uplink.addresses.filter((one) => one.includes(":") === (family === "ipv6")),
			}))
			.filter(({ addresses }) => addresses.length > 0);
		const known = members.map(({ addresses }) => before?.links.get(addresses[0]!));
		const changed = members.some(({ addresses: [first] }) => down.has(first!) !== before?.down.has(first!));
		// Without news of the links nothing moves, but for those that went down or came back.
		const stays = !adjust && !changed && known.every((one) => one !== undefined);
		const next = stays
			? (known as UplinkShare[])
			: nextShares(
					members.map(({ uplink, addresses }) => stateOf(uplink, !down.has(addresses[0]!))),
					known,
				);
		const perAddress = (i: number) => next[i]!.share / members[i]!.addresses.length;
		const was = members.map(({ addresses }) => before?.shares.get(addresses[0]!) ?? Number.NaN);
		const moved =
			was.some(Number.isNaN) ||
			sharesMoved(
				was,
				members.map((_, i) => perAddress(i)),
			);
		for (const [i, { addresses }] of members.entries()) {
			links.set(addresses[0]!, next[i]!);
			for (const address of addresses) shares.set(address, moved ? perAddress(i) : was[i]!);
		}
	}
}

/** Does anything differ that tables are compiled from? Loads have a threshold of their own (loads.ts). */
export function balanceMoved(before: Balance | undefined, after: Balance): boolean {
	if (before === undefined) return true;
	return (
		differ(before.shares, after.shares, (share) => share) ||
		differ(before.factors, after.factors, ({ factor }) => factor) ||
		before.down.size !== after.down.size ||
		[...after.down].some((address) => !before.down.has(address))
	);
}

function poolsOf(backends: readonly BackendNow[]): BackendNow[][] {
	const pools = new Map<string, BackendNow[]>();
	for (const backend of backends) {
		const members = pools.get(backend.pool) ?? [];
		members.push(backend);
		pools.set(backend.pool, members);
	}
	return [...pools.values()];
}

function stateOf({ cost, cap, reported }: BalancedUplink, up: boolean): UplinkNow {
	return { cost, cap, up, speedBps: reported?.speedBps ?? 0, usedBps: reported?.usedBps ?? 0 };
}

function factorsOf(
	before: Balance | undefined,
	backends: readonly BackendNow[],
	loads: ReadonlyMap<string, Believed>,
	/** undefined: it is not time yet. */
	seconds: number | undefined,
): Map<string, Factor> {
	// A draining backend gets no new session, and must not set the mean of those that do.
	const active = backends.filter((one) => one.active).map((one) => loads.get(one.name)!.reported ?? 0);
	const mean = active.length === 0 ? 0 : active.reduce((sum, load) => sum + load, 0) / active.length;
	return new Map(
		backends.map(({ name, active: takesPart }): [string, Factor] => {
			const was = before?.factors.get(name) ?? NEUTRAL;
			const { reported, known } = loads.get(name)!;
			// A backend without a report has the mean as its load: no error, but no reason to forget what was learnt.
			if (seconds === undefined || !takesPart || reported === undefined || known === "unknown") return [name, was];
			return [name, nextFactor(was, reported, mean, seconds)];
		}),
	);
}

/**
 * An address is down when its server says so, or when it has not answered for the time that makes a report stale while another
 * of the same server's has: then it is the way that is gone, not the server. It is well again when it has been so for as long.
 */
function downs(before: Balance | undefined, { now, staleMs, backends, queries }: BalanceInput) {
	const down = new Set<string>();
	const well = new Map<string, number>();
	for (const { uplinks, report } of backends) {
		const current = report !== undefined && now - report.receivedAt <= staleMs;
		const silentFor = (address: string) => {
			const one = queries.get(address);
			return one === undefined ? 0 : now - (one.answered ?? one.since);
		};
		const all = uplinks.flatMap((uplink) => uplink.addresses);
		const speaks = all.some(
			(address) => queries.get(address)?.answered !== undefined && silentFor(address) <= staleMs / 2,
		);
		for (const { addresses, reported } of uplinks) {
			for (const address of addresses) {
				const ill = (current && reported?.up === false) || (speaks && silentFor(address) > staleMs);
				const wasDown = before?.down.has(address) ?? false;
				const since = ill ? undefined : (before?.well.get(address) ?? (wasDown ? now : Number.NEGATIVE_INFINITY));
				if (since !== undefined && wasDown && now - since < staleMs) well.set(address, since);
				if (ill || (wasDown && now - since! < staleMs)) down.add(address);
			}
		}
	}
	return { down, well };
}

function differ<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>, of: (value: V) => number): boolean {
	if (a.size !== b.size) return true;
	for (const [key, value] of b) {
		const other = a.get(key);
		if (other === undefined || of(other) !== of(value)) return true;
	}
	return false;
}
