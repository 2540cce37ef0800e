// table-fields.ts - a set of tables as plain values, and the values of its enumerations.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.

/** Roles of this host, or-ed. */
export const ROLE = { gateway: 1, backend: 2 } as const;
/** What of a flow is hashed to choose a row. */
export const SPREAD = { flow: 0, source: 1, client: 2 } as const;
/** How the packet program chooses among a redirection's rows (lookup/choose.h). */
export const CHOICE = { row: 0, lessLoaded: 1 } as const;
/** What a rule does with its sources beside choosing their target. */
export const DENY = { none: 0, refuse: 1, silent: 2 } as const;
/** What a gateway does with a packet that carries a capability (protocol.md, section 6). */
export const ANSWER = { forward: 0, forwardAndIndicate: 1, indicate: 2, return: 3 } as const;
/** Administrative state of a target, or of this host as a backend. */
export const TARGET_STATE = { inactive: 0, active: 1, draining: 2 } as const;

/** A key under which headers are signed and verified, at the index of its key id. */
export interface TableKey {
	/** The key id in the header. */
	readonly id: number;
	/** 128 bits. */
	readonly secret: Buffer;
}

/** A service: the address, port and protocol that clients use. */
export interface TableService {
	/** Stable across sets of tables: sessions name it. */
	readonly id: number;
	/** What clients send to (VIP). */
	readonly address: Buffer;
	/** What clients send to; the first of several. */
	readonly port: number;
	/** The last of several ports; no greater than port: there is one. Default 0. */
	readonly portLast?: number;
	/** Of a prefix of addresses, mapped form; 128: one address. Default 128. */
	readonly addressLength?: number;
	/** 6 (TCP) or 17 (UDP). */
	readonly protocol: number;
	/** Of the address. */
	readonly family: 4 | 6;
	/** Index into redirections, for a source that no rule matches. */
	readonly redirection: number;
	/** A session expires this long after the client's last packet. */
	readonly idleMs: number;
	/** The same of a TCP session that is half-open or closing; 0: idle_ms. Default 0. */
	readonly idleTransitoryMs?: number;
	/** The same after the backend's; the later of both decides. 0: egress session refresh is disabled. Default 0. */
	readonly idleSentMs?: number;
	/** Its load counts source addresses, not flows (R10). Default false. */
	readonly countSources?: boolean;
	/** On a backend: direct packets only of clients that showed a ticket. Default false. */
	readonly invitedOnly?: boolean;
	/** A packet that no target is to serve is dropped, not answered. Default false. */
	readonly refusesSilently?: boolean;
	/** Each datagram is chosen by itself, and no record is kept. Default false. */
	readonly noSession?: boolean;
}

/** Where a service listens at an address of this backend's own; redirected clients send there. */
export interface TableDirect {
	/** A service's id. Where two services listen at one endpoint, the first is taken. */
	readonly service: number;
	/** This backend's own. */
	readonly address: Buffer;
	/** Of the service at that address. */
	readonly port: number;
	/** The last of several ports. Default 0. */
	readonly portLast?: number;
	/** Of the address. */
	readonly family: 4 | 6;
}

/** A rule: sources of one prefix -> a redirection. */
export interface TableRule {
	/** A service's id. */
	readonly service: number;
	/** Bits beyond the length are zero. */
	readonly prefix: Buffer;
	/** Of the mapped form: an IPv4 /24 is 120. */
	readonly length: number;
	/** Index into redirections. */
	readonly redirection: number;
}

/** A redirection: the record that answers a source of a service. */
export interface TableRedirection {
	/** The forwarding table: target ids. Empty: no active target. */
	readonly rows: Uint16Array;
	/** Of SPREAD. */
	readonly spread: number;
	/** Of CHOICE. */
	readonly choice?: number;
	/** Of DENY; with no rows. */
	readonly deny?: number;
}

/** A target: one backend at one port on one set of terms, so that a session's next packet needs this cache line alone to be forwarded. */
export interface TableTarget {
	/** 1 .. 65534, stable across sets of tables: sessions name it. */
	readonly id: number;
	/** Service address: destination of the header and of the outer packet. */
	readonly address: Buffer;
	/** Outer source, this host's own; all zero if unknown. */
	readonly source: Buffer;
	/** Ethernet destination; null: not resolved. */
	readonly nextHop: Buffer | null;
	/** Ethernet source. */
	readonly ownMac: Buffer;
	/** Service port; 0: the port that the client sends to. */
	readonly port: number;
	/** Of address and source. */
	readonly family: 4 | 6;
	/** Moves when the target goes down: its sessions choose anew. */
	readonly epoch: number;
	/** Of TARGET_STATE. */
	readonly state: 0 | 1 | 2;
	/** Of the link towards it, bytes of IP packet. */
	readonly mtu: number;
	/** Of that link. */
	readonly ifindex: number;
	/** Another target of the same redirection and family, or 0. */
	readonly alternative: number;
	/** The terms, as the header carries them: with the leased flag, how long. */
	readonly leaseS: number;
	/** R, P, O, L as they stand in the header. */
	readonly headerFlags: number;
	/** Of ANSWER: to a packet that carries a capability. */
	readonly answer?: number;
	/** Over capacity, relative to the service's other targets, up to FULL_LOAD. Default 0. */
	readonly load?: number;
}

/** A MAC address at an interface whose frames are for this host. */
export interface TableStation {
	/** Of the interface. */
	readonly ifindex: number;
	/** Its own, or one of those configured. */
	readonly mac: Buffer;
}

/** How many answers a gateway sends, a second. */
export interface TableLimits {
	/** To one source address. */
	readonly source: number;
	/** To one source address before that rate holds. */
	readonly burst: number;
	/** To all sources together. */
	readonly all: number;
}

/** What holds for the whole set. */
export interface TableSet {
	/** Secret seeds of the flow hash; the same on all gateways (they must choose alike). */
	readonly seed: readonly [bigint, bigint];
	/** Add to the monotonic clock for nanoseconds since 1970. */
	readonly wallOffsetNs: bigint;
	/** Of this set of tables. */
	readonly epoch: number;
	/** Of ROLE, or-ed. */
	readonly roles: number;
	/** How far a time of issue may be from now. */
	readonly windowS: number;
	/** Of Geneve. */
	readonly tunnelPort: number;
	/** Key id under which this host signs. */
	readonly signKey: number;
	/** How often one packet may be forwarded again (protocol.md). */
	readonly maxHops: number;
	/** Of TARGET_STATE: this host as a backend. */
	readonly ownState?: number;
	/** Where control datagrams arrive at every service address. Default 3575. */
	readonly controlPort?: number;
	/** How many answers a gateway sends. */
	readonly limits?: TableLimits;
	/** Frames to other MAC addresses are ignored at these interfaces; an interface without one ignores none. */
	readonly stations?: readonly TableStation[];
	/** Keys under which headers are verified, sign_key's included. */
	readonly keys: readonly TableKey[];
	/** This host's own addresses; the services' are added by the builder. */
	readonly own: readonly Buffer[];
	/** On a backend: addresses that the tunnel is accepted from; empty: all. */
	readonly members?: readonly Buffer[];
	readonly services: readonly TableService[];
	/** On a backend. */
	readonly direct?: readonly TableDirect[];
	readonly rules: readonly TableRule[];
	readonly redirections: readonly TableRedirection[];
	readonly targets: readonly TableTarget[];
}

/** Fields of a service that its tables take unchanged from the configuration's model. */
export interface ServiceTableFields {
	readonly port: TableService["port"];
	readonly portLast?: TableService["portLast"];
	readonly addressLength?: TableService["addressLength"];
	readonly family: TableService["family"];
	readonly idleMs: TableService["idleMs"];
	readonly idleTransitoryMs?: TableService["idleTransitoryMs"];
	readonly idleSentMs?: TableService["idleSentMs"];
	readonly invitedOnly?: TableService["invitedOnly"];
	readonly refusesSilently?: TableService["refusesSilently"];
	readonly noSession?: TableService["noSession"];
}

export function serviceTableFields(from: ServiceTableFields): ServiceTableFields {
	return {
		port: from.port,
		portLast: from.portLast,
		addressLength: from.addressLength,
		family: from.family,
		idleMs: from.idleMs,
		idleTransitoryMs: from.idleTransitoryMs,
		idleSentMs: from.idleSentMs,
		invitedOnly: from.invitedOnly,
		refusesSilently: from.refusesSilently,
		noSession: from.noSession,
	};
}
