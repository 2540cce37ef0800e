/**
 * What a change of configuration moves, before it is made: by the forwarding tables that a gateway compiles of either.
 *
 * Owns: the measure. A flow is moved if its row names another backend; the least that any table could move follows from
 * the backends' shares, and what is moved beyond it is disruption.
 * Must never: know of sessions: those of backends that stay are kept whatever the tables say.
 */
import { type Config, redirectionsOf } from "../config/index.js";
import { gatewayTablesOf } from "./gateway-tables.js";
import { targetsOf } from "./lookup.js";
import { firstServices } from "./records.js";

export interface PlannedService {
	/** The service's name, and its key. */
	readonly service: string;
	readonly key: string;
	readonly change: "added" | "removed" | "changed";
	/** Of new flows, 0 to 1, those that choose another backend; 1 of a service that is added or removed. */
	readonly moved: number;
	/** The least that the change of shares makes necessary. */
	readonly necessary: number;
	/** By backend: the share of new flows before and after. */
	readonly shares: readonly { readonly backend: string; readonly before: number; readonly after: number }[];
	/** Of the forwarding table, before and after; where they differ, nearly every new flow chooses anew (maglev.ts, tableSize). */
	readonly rows: { readonly before: number; readonly after: number };
	/** No active backend is left. */
	readonly left: boolean;
}

/** Backends by row. */
type Rows = readonly string[];

/** The services of whose own redirection a row changes, or that come or go. */
export function plannedServices(before: Config, after: Config): PlannedService[] {
	const [old, now] = [rowsOf(before), rowsOf(after)];
	const services = new Map([...before.services, ...after.services].map((service) => [service.key, service]));
	const planned: PlannedService[] = [];
	for (const [key, { name }] of services) {
		const [was, is] = [old.get(key), now.get(key)];
		const change = was === undefined ? "added" : is === undefined ? "removed" : "changed";
		const [a, b] = [sharesOf(was ?? []), sharesOf(is ?? [])];
		const shares = [...new Set([...a.keys(), ...b.keys()])]
			.sort()
			.map((backend) => ({ backend, before: a.get(backend) ?? 0, after: b.get(backend) ?? 0 }));
		const moved = change === "changed" ? movedPart(was ?? [], is ?? []) : 1;
		if (moved === 0) continue;
		const gained = shares.reduce((sum, one) => sum + Math.max(0, one.after - one.before), 0);
		const lost = shares.reduce((sum, one) => sum + Math.max(0, one.before - one.after), 0);
		const necessary = change === "changed" ? Math.max(gained, lost) : 1;
		const left = change !== "removed" && (is?.length ?? 0) === 0;
		const rows = { before: was?.length ?? 0, after: is?.length ?? 0 };
		planned.push({ service: name, key, change, moved, necessary: Math.min(necessary, moved), shares, rows, left });
	}
	return planned.sort((x, y) => (x.key < y.key ? -1 : 1));
}

/** By service key: its own redirection's rows. */
function rowsOf(config: Config): Map<string, Rows> {
	const { ids, snapshot, tables } = gatewayTablesOf(config);
	const backendOf = new Map<number, string>();
	for (const service of firstServices(snapshot))
		for (const redirection of redirectionsOf(service))
			for (const { key, backend } of targetsOf(snapshot, service, redirection))
				backendOf.set(ids.targets.get(key) ?? 0, backend);
	const redirectionOf = new Map(tables.services.map(({ id, redirection }) => [id, redirection]));
	return new Map(
		config.services.map((service): [string, Rows] => {
			const { rows = [] } = tables.redirections[redirectionOf.get(ids.services.get(service.key) ?? 0) ?? -1] ?? {};
			const backends = Array.from(rows, (id) => backendOf.get(id) ?? "");
			return [service.key, backends.some((backend) => backend !== "") ? backends : []];
		}),
	);
}

function sharesOf(rows: Rows): Map<string, number> {
	const shares = new Map<string, number>();
	for (const backend of rows) shares.set(backend, (shares.get(backend) ?? 0) + 1 / rows.length);
	return shares;
}

/** A hash's row is its part of the table: tables of two sizes are compared at the points of the larger. */
function movedPart(was: Rows, is: Rows): number {
	const points = Math.max(was.length, is.length);
	if (points === 0) return 0;
	if (was.length === 0 || is.length === 0) return 1;
	let moved = 0;
	for (let point = 0; point < points; point++) {
		const at = (rows: Rows) => rows[Math.floor(((point + 0.5) * rows.length) / points)];
		if (at(was) !== at(is)) moved++;
	}
	return moved / points;
}
