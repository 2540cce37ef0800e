// report.ts - a backend's load report (R10, R13), and its validation on receipt.
//
// Owns: the fields and units. Must never: trust a field; a report with an invalid field is refused as a whole.

import { type ReportedIdentity, readIdentity } from "./identity-report.js";
import { type ReportedOverride, readOverride } from "./override-report.js";

/** One uplink of a backend, from its own counters (R12). */
export interface UplinkReport {
	/** The backend's addresses on this uplink, canonical. */
	readonly addresses: readonly string[];
	/** Up, with carrier. */
	readonly up: boolean;
	/** Bits per second in each direction; 0: unknown. */
	readonly speedBps: number;
	/** Bits per second on the wire, in the last period. */
	readonly rxBps: number;
	readonly txBps: number;
	/** Packets per second; drops and errors of both directions. */
	readonly rxPps: number;
	readonly txPps: number;
	readonly drops: number;
	readonly errors: number;
}

export interface LoadReport {
	readonly server: string;
	/** Milliseconds since 1970, by the backend's clock. */
	readonly at: number;
	/** Total load: 0 is idle, 1 is full; can exceed 1 (policy/total-load.ts). */
	readonly total: number;
	/** Artificial UDP sessions, by each service's `count`. */
	readonly udpSessions: number;
	readonly tcpSessions: number;
	/** Busy fraction of all processors, 0 to 1; null: unknown. */
	readonly cpu: number | null;
	/** Use of the busiest uplink in its busier direction, 0 to 1; null: no speed is known. */
	readonly link: number | null;
	readonly uplinks: readonly UplinkReport[];
	/** The data plane forwards on when the daemon is gone: a pinned kernel engine. Not there: an older version. */
	readonly survives?: boolean;
	/** The daemon ends, and its data plane with it. */
	readonly leaving?: boolean;
	/** By which drift is found; absent: an older version. */
	readonly identity?: ReportedIdentity;
	/** What its operator has changed at run time; absent: nothing. */
	readonly override?: ReportedOverride;
	/** Services without a socket on this server, though they should have one. Not there: an older version, or unknown. */
	readonly unbound?: readonly UnboundPort[];
}

export interface UnboundPort {
	/** The service's key. */
	readonly service: string;
	/** The service's port at this server. */
	readonly port: number;
}

const MOST_UPLINKS = 64;
const MOST_ADDRESSES = 64;
/** A report of more names the first ones. */
export const MOST_UNBOUND = 100;

/** undefined: not a valid report. Unknown fields, of later versions, are left out. */
export function readReport(value: unknown): LoadReport | undefined {
	if (!isMap(value)) return undefined;
	const { server, at, total, udpSessions, tcpSessions, cpu, link, uplinks } = value;
	if (!isName(server) || !isCount(at) || !isAmount(total) || !isCount(udpSessions) || !isCount(tcpSessions))
		return undefined;
	if (!(cpu === null || isShare(cpu)) || !(link === null || isAmount(link))) return undefined;
	if (!Array.isArray(uplinks) || uplinks.length > MOST_UPLINKS) return undefined;
	const links = uplinks.map(readUplink);
	if (links.includes(undefined)) return undefined;
	const { survives, leaving } = value;
	if (!(isFlag(survives) && isFlag(leaving))) return undefined;
	const identity = value.identity === undefined ? undefined : readIdentity(value.identity);
	if (value.identity !== undefined && identity === undefined) return undefined;
	const override = value.override === undefined ? undefined : readOverride(value.override);
	if (value.override !== undefined && override === undefined) return undefined;
	const unbound = value.unbound === undefined ? undefined : readUnbound(value.unbound);
	if (value.unbound !== undefined && unbound === undefined) return undefined;
	const beside = {
		...(survives === undefined ? {} : { survives }),
		...(leaving === undefined ? {} : { leaving }),
		...(identity === undefined ? {} : { identity }),
		...(override === undefined ? {} : { override }),
		...(unbound === undefined ? {} : { unbound }),
	};
	return { server, at, total, udpSessions, tcpSessions, cpu, link, uplinks: links as UplinkReport[], ...beside };
}

function readUnbound(value: unknown): UnboundPort[] | undefined {
	if (!Array.isArray(value) || value.length > MOST_UNBOUND) return undefined;
	const ports = value.flatMap((one): UnboundPort[] =>
		isMap(one) && isName(one.service) && isCount(one.port) ? [{ service: one.service, port: one.port }] : [],
	);
	return ports.length === value.length ? ports : undefined;
}

function readUplink(value: unknown): UplinkReport | undefined {
	if (!isMap(value)) return undefined;
	const { addresses, up, speedBps, rxBps, txBps, rxPps, txPps, drops, errors } = value;
	if (!Array.isArray(addresses) || addresses.length > MOST_ADDRESSES || !addresses.every(isName)) return undefined;
	if (typeof up !== "boolean" || !isAmount(speedBps) || !isAmount(rxBps) || !isAmount(txBps)) return undefined;
	if (!isAmount(rxPps) || !isAmount(txPps) || !isAmount(drops) || !isAmount(errors)) return undefined;
	return { addresses: [...addresses], up, speedBps, rxBps, txBps, rxPps, txPps, drops, errors };
}

function isMap(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is string {
	return typeof value === "string" && value.length > 0 && value.length <= 64;
}

function isAmount(value: unknown): value is number {
	return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isCount(value: unknown): value is number {
	return isAmount(value) && Number.isSafeInteger(value);
}

function isFlag(value: unknown): value is boolean | undefined {
	return value === undefined || typeof value === "boolean";
}

function isShare(value: unknown): value is number {
	return isAmount(value) && value <= 1;
}
