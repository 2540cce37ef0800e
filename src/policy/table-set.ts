// table-set.ts - one whole set of published tables, as plain values: what native/datapath/tables.h lays out in memory.
//
// Owns: the type that database/ compiles and engine/ publishes. Addresses are 16-byte buffers (IPv4 in mapped form),
// ports are numbers in host order, prefix lengths are those of the mapped form.
// Must never: be changed once built. A change is a new set with epoch + 1.

export const ROLE = { gateway: 1, backend: 2 } as const;
export const TARGET_STATE = { inactive: 0, active: 1, draining: 2 } as const;
export const SPREAD = { flow: 0, source: 1 } as const;
/** row: the one that the hash names. lessLoaded: of two rows, the one whose target has the smaller load. */
export const CHOICE = { row: 0, lessLoaded: 1 } as const;
/** What a gateway does with a packet that carries a capability. */
export const ANSWER = { forward: 0, forwardAndIndicate: 1, indicate: 2, return: 3 } as const;
/** A load is 16 bits. */
export const FULL_LOAD = 65_535;
/** Services, targets and redirections are named by 16 bits. */
export const MAX_INDEX = 65_535;

export interface TableKey {
	readonly id: number;
	/** 16 bytes. */
	readonly secret: Buffer;
}

export interface TableService {
	/** Stable across sets: sessions name it. */
	readonly id: number;
	readonly address: Buffer;
	readonly port: number;
	/** 6 or 17. */
	readonly protocol: number;
	readonly family: 4 | 6;
	/** Index into redirections, for a source that no rule names. */
	readonly redirection: number;
	readonly idleMs: number;
	/** After a packet that a backend sent; absent or 0: such a packet keeps no session alive. */
	readonly idleSentMs?: number;
	/** Its sessions are counted by sender address (R10). */
	readonly countSources?: boolean;
	/** Of a backend: direct packets only from clients that have shown a ticket. Default false. */
	readonly invitedOnly?: boolean;
}

/** Where a backend's own service listens at an address of its own: redirected clients send there. */
export interface TableDirect {
	/** A service's id. Where two services listen at one place, the first of the list has it. */
	readonly service: number;
	readonly address: Buffer;
	readonly port: number;
	/** Of the address. */
	readonly family: 4 | 6;
}

export interface TableRule {
	/** A service's id. */
	readonly service: number;
	/** Bits beyond the length are zero. */
	readonly prefix: Buffer;
	/** 0..128 of the mapped form: an IPv4 /24 is 120. */
	readonly length: number;
	readonly redirection: number;
}

export interface TableRedirection {
	/** The forwarding table: target ids. Empty: no active target. */
	readonly rows: Uint16Array;
	/** Of SPREAD. */
	readonly spread: number;
	/** Of CHOICE. */
	readonly choice: number;
}

export interface TableTarget {
	/** Stable across sets, 1..65535: sessions name it. */
	readonly id: number;
	readonly address: Buffer;
	/** Outer source; all zero if unknown. */
	readonly source: Buffer;
	/** 6 bytes; null: not resolved (yet). */
	readonly nextHop: Buffer | null;
	readonly ownMac: Buffer;
	readonly port: number;
	readonly family: 4 | 6;
	/** 0..255; moves when the target goes down, so that its sessions choose anew. */
	readonly epoch: number;
	readonly state: 0 | 1 | 2;
	readonly mtu: number;
	readonly ifindex: number;
	/** Another target of the same redirection and address family, or 0. */
	readonly alternative: number;
	/** The terms of its redirection: R, P, O, L as they stand in the header, and the lease in seconds. A session's next
	 * packet then needs no more than its target. */
	readonly headerFlags: number;
	readonly leaseS: number;
	/** Of ANSWER; default forward. */
	readonly answer?: number;
	/** 0..FULL_LOAD, over capacity and relative to the service's other targets (loads.ts): the smaller the better. */
	readonly load: number;
}

export interface TableSet {
	readonly epoch: number;
	/** ROLE, or-ed. */
	readonly roles: number;
	readonly seed: readonly [bigint, bigint];
	/** Add to the monotonic clock for nanoseconds since 1970. */
	readonly wallOffsetNs: bigint;
	readonly windowS: number;
	readonly tunnelPort: number;
	/** Default 3575. */
	readonly controlPort?: number;
	/** Of indications, to one source per second and at first, and to all per second. Default 8, 32, 10000. */
	readonly limits?: { readonly source: number; readonly burst: number; readonly all: number };
	/** Of TARGET_STATE: this host's own as a backend. Default active, which a gateway always is. */
	readonly ownState?: 0 | 1 | 2;
	readonly signKey: number;
	readonly maxHops: number;
	readonly keys: readonly TableKey[];
	/** This host's own addresses. */
	readonly own: readonly Buffer[];
	readonly services: readonly TableService[];
	/** Of a backend; absent: none. */
	readonly direct?: readonly TableDirect[];
	readonly rules: readonly TableRule[];
	readonly redirections: readonly TableRedirection[];
	readonly targets: readonly TableTarget[];
}
