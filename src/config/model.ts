// model.ts - a configuration once read: every default filled in, every reference checked.
//
// Owns: the types that all other rooms use for services, backends and rules. Plain JSON values, deeply frozen.
// Must never: hold a table, a socket, or a value that changes at run time.

import type { StrategyName } from "../policy/strategy/index.js";
import type { Warning } from "./problems.js";
import type { CopiedServiceFields } from "./service-fields.js";

export type Family = 4 | 6;
export type Protocol = "udp" | "tcp";
/** active: gets new sessions · draining: keeps its sessions, gets no new ones · inactive: gets no packets. */
export type State = "active" | "draining" | "inactive";
export type Spread = "flow" | "source";
export type Term = "once" | "leased" | "permanent";
/** What a gateway does with a packet that carries a capability (docs/protocol.md, section 6). */
export type CapabilityAnswer = "forward" | "forward-and-indicate" | "indicate" | "return";

export const PROTOCOL_NUMBER = { tcp: 6, udp: 17 } as const;

/** The terms of a redirection; carried in the header's flags (R4-R7). */
export interface Terms {
	/** R4: the client is expected to redirect itself. */
	readonly clients: boolean;
	readonly term: Term;
	/** Seconds; 0 unless leased. */
	readonly leaseS: number;
	/** forward unless clients redirect themselves. */
	readonly answer: CapabilityAnswer;
}

/** One backend of a redirection. */
export interface Choice {
	readonly backend: string;
	/** Port of the service at the backend (R3); 0: the port that the client sends to, of a service of several. */
	readonly port: number;
	readonly weight: number;
}

/** The record for a source of a service: its backends and terms. */
export interface Redirection {
	readonly choices: readonly Choice[];
	readonly terms: Terms;
	/** The source is refused, with or without an answer; there are no choices. */
	readonly deny: "refuse" | "silent" | null;
}

/** Sources of one prefix -> a redirection (R2). */
export interface Rule {
	/** Canonical prefix, of the service's family. */
	readonly from: string;
	readonly redirection: Redirection;
}

/**
 * One address, port and protocol that clients use. A configured service with two addresses and two protocols is four.
 */
export interface Service extends CopiedServiceFields {
	/** "udp/203.0.113.53/53", "udp/203.0.113.53/10000-20000", "udp/203.0.113.53/any": unique; identifiers depend on it alone (ids.ts). */
	readonly key: string;
	readonly name: string;
	/** Or a prefix of addresses, "203.0.113.0/28". */
	readonly address: string;
	/** Of the prefix, in the mapped form: an IPv4 /28 is 124; 128: one address. */
	readonly addressLength: number;
	readonly family: Family;
	readonly protocol: Protocol;
	/** The last of its ports; equal to `port`: there is one. */
	readonly portLast: number;
	/** "53", "10000-20000" or "any". */
	readonly ports: string;
	readonly idleMs: number;
	/** Of a TCP session that is half-open or closing; of UDP the same as idleMs. */
	readonly idleTransitoryMs: number;
	/** The same after the backend's last packet; 0: egress session refresh is disabled. */
	readonly idleSentMs: number;
	/** What one UDP session is in the load: a 4-tuple, or a sender address (R10). */
	readonly count: "flow" | "source";
	readonly spread: Spread;
	readonly choose: StrategyName;
	/** Family of the backend's address that the tunnel uses; null: the service's own if the backend has it. */
	readonly via: Family | null;
	/** Each datagram is chosen by itself, and no record is kept. */
	readonly noSession: boolean;
	readonly health: ServiceHealth;
	/** A backend accepts packets to its own address only from clients that were redirected. */
	readonly invitedOnly: boolean;
	/** Its clients that speak MPTCP go on straight to the backend (R35). */
	readonly mptcp: boolean;
	/** Where no target is left for a packet, a gateway drops it without an answer. */
	readonly refusesSilently: boolean;
	/** Of sources that no rule matches. */
	readonly redirection: Redirection;
	/** Longest prefix first. */
	readonly rules: readonly Rule[];
}

/** What follows from the health of a service's backends. */
export interface ServiceHealth {
	/** What a backend's word follows for, that no socket has the service's port: auto: where one had it; require: in any
	 * case; ignore: nothing. */
	readonly bound: "auto" | "require" | "ignore";
	/** A backend that is healthy again gets its full share after this time. */
	readonly slowStartMs: number;
	/** 0 to 1: with less usable backends than this share, all of a redirection's are used. */
	readonly panic: number;
	/** If no backend is usable, all are used, or none. */
	readonly fail: "open" | "refuse";
	/** null: none is configured. */
	readonly probe: Probe | null;
}

/** What every gateway asks a service at each backend. */
export interface Probe {
	readonly type: "tcp" | "udp" | "dns" | "http" | "https";
	/** A companion port at the backend's own address, asked directly; null: the service, through the tunnel. */
	readonly port: number | null;
	/** Hex digits; null: nothing, or anything. */
	readonly send: string | null;
	readonly expect: string | null;
	/** Of a DNS question; "" is the root. */
	readonly name: string;
	readonly record: "A" | "AAAA" | "NS" | "SOA" | "TXT";
	readonly path: string;
	/** Of an HTTP request; null: the service's address. */
	readonly host: string | null;
	/** null: 200 to 399. */
	readonly status: number | null;
	readonly intervalMs: number;
	readonly timeoutMs: number;
	readonly rise: number;
	readonly fall: number;
	/** 0 to 1, of the interval. */
	readonly jitter: number;
}

export interface Backend {
	readonly name: string;
	/** In the configured order; several of one family are several uplinks. */
	readonly addresses: readonly string[];
	/** Empty: the interface that carries the address. */
	readonly interfaces: readonly string[];
	readonly state: State;
	/** Sessions at which it is full. */
	readonly capacity: number;
	/** Each address is in exactly one: the configured uplinks, then one for each other address. */
	readonly uplinks: readonly Uplink[];
}

/** One of the links through which a backend is reached (R12). */
export interface Uplink {
	/** Not empty. */
	readonly addresses: readonly string[];
	/** null: the one that carries the addresses. */
	readonly interface: string | null;
	/** Bits per second, in each direction; 0: the driver's value. */
	readonly speedBps: number;
	/** At least 1, relative. */
	readonly cost: number;
	/** 0 to 1: the use above which it gets no new sessions. */
	readonly cap: number;
}

export interface Gateway {
	readonly name: string;
	readonly interfaces: readonly string[];
	/** Outer source addresses; empty: those of the interfaces. */
	readonly addresses: readonly string[];
}

export interface Key {
	readonly id: number;
	/** 32 hex digits. */
	readonly secret: string;
}

export interface Cluster {
	readonly name: string;
	/** Text from which all secret seeds are derived; the same on every member. */
	readonly seed: string;
	readonly keys: readonly Key[];
	readonly signKey: number;
	readonly windowMs: number;
	readonly tunnelPort: number;
	/** What backends accept the tunnel from (tunnel-sources.ts). */
	readonly tunnelFrom: "members" | "any";
	/** UDP port of control datagrams, at every service's address. */
	readonly controlPort: number;
	readonly indications: Indications;
	readonly maxHops: number;
}

/** Rate limits of a gateway's redirects: per second to one source after a burst, and per second to all. */
export interface Indications {
	readonly source: number;
	readonly burst: number;
	readonly all: number;
}

/** How a backend's total load is computed and reported (R10, R13). */
export interface Load {
	readonly reportMs: number;
	readonly smoothMs: number;
	readonly staleMs: number;
	readonly port: number;
	/** Weights of a UDP session, of a TCP session, of the processors' and of the links' use. */
	readonly udp: number;
	readonly tcp: number;
	readonly cpu: number;
	readonly link: number;
}

/** When evidence makes a backend unhealthy or healthy. */
export interface HealthThresholds {
	/** Answers in a row. */
	readonly rise: number;
	/** Load queries in a row without an answer. */
	readonly fall: number;
	/** The shortest time for which it stays unhealthy. */
	readonly holdMs: number;
	/** Networks whose clients must report that a service does not answer at a backend; 0: their reports have no effect. */
	readonly reports: number;
}

/** Where the redirection database is. Paths are absolute. */
export type Database =
	/** The file itself. */
	| { readonly kind: "static" }
	| { readonly kind: "embedded"; readonly folder: string }
	| {
			readonly kind: "etcd";
			readonly endpoints: readonly string[];
			/** Begins and ends with a slash. */
			readonly prefix: string;
			readonly caFile: string | null;
			readonly certificateFile: string | null;
			readonly keyFile: string | null;
			readonly user: string | null;
			readonly passwordFile: string | null;
	  };

export interface Config {
	/** The file that it was read from. */
	readonly file: string;
	readonly cluster: Cluster;
	readonly database: Database;
	readonly sessions: { readonly capacity: number; readonly capacityIpv6: number; readonly checkMs: number };
	readonly load: Load;
	readonly health: HealthThresholds;
	readonly engine: {
		readonly mode: "auto" | "native" | "generic" | "user";
		readonly workers: number;
		readonly busyPollUs: number;
		readonly qdiscBypass: boolean;
		/** MAC addresses besides the interfaces' own, as 12 hex digits; any: frames to all of them are handled. */
		readonly stations: readonly string[] | "any";
	};
	readonly gateways: readonly Gateway[];
	readonly backends: readonly Backend[];
	readonly services: readonly Service[];
	/** In the order of the file's places. */
	readonly warnings: readonly Warning[];
}

export function serviceKey(protocol: Protocol, address: string, port: number | string): string {
	return `${protocol}/${address}/${port}`;
}

/** A copy without secrets, for logs and `--json`. */
export function withoutSecrets(config: Config): Config {
	const keys = config.cluster.keys.map((key) => ({ ...key, secret: "(secret)" }));
	return { ...config, cluster: { ...config.cluster, seed: "(secret)", keys } };
}
