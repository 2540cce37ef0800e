// host.ts - the typed door to native/linux: what this machine's kernel knows of links, routes, neighbours and TCP.
//
// Owns: shapes and units. Addresses are 16-byte buffers (IPv4 in mapped form), MAC addresses 6 bytes; numbers without a
// unit are the kernel's own (IFF_*, RTN_*, NUD_*, RT_SCOPE_*).
// Must never: decide anything. A refusal of the kernel is thrown (or rejects) as it is, with errno's name in `code`.

import { addon } from "./addon.js";

export interface HostAddress {
	readonly address: Buffer;
	/** As the family counts: 0..32 or 0..128. */
	readonly prefix: number;
	readonly family: 4 | 6;
	/** RT_SCOPE_*: 0 is universe, 253 link. */
	readonly scope: number;
	/** IFA_F_* */
	readonly flags: number;
}

export interface HostLink {
	readonly ifindex: number;
	readonly name: string;
	/** Bytes of an IP packet. */
	readonly mtu: number;
	/** IFF_*: 1 is up. */
	readonly flags: number;
	/** ARPHRD_*: 1 is Ethernet. */
	readonly hardware: number;
	readonly mac: Buffer | null;
	readonly addresses: readonly HostAddress[];
}

export interface HostRoute {
	/** RTN_*: 1 unicast, 2 local. */
	readonly kind: number;
	readonly ifindex: number;
	readonly gateway: Buffer | null;
	readonly source: Buffer | null;
	/** Of the route, else of the link. */
	readonly mtu: number;
	readonly ownMac: Buffer | null;
	readonly hardware: number;
}

export interface HostNeighbour {
	readonly mac: Buffer | null;
	/** NUD_* */
	readonly state: number;
}

export interface Feature {
	/** The kernel's name: "rx-gro". */
	readonly name: string;
	readonly active: boolean;
	readonly changeable: boolean;
}

/** The order of the entries that LinkCounters.read fills. */
export const LINK_COUNTERS = [
	"rxPackets",
	"rxBytes",
	"rxDropped",
	"rxErrors",
	"txPackets",
	"txBytes",
	"txDropped",
	"txErrors",
] as const;

export interface LinkCounters {
	/** Fills and returns an array of at least 8. ENODEV once the interface is gone. */
	read(into: BigUint64Array): BigUint64Array;
	/** Bits per second; 0: unknown. */
	speedBps(): number;
	/** ENODEV once the interface is gone. */
	state(): LinkState;
}

export interface LinkState {
	/** It can carry packets. Loopback and tun don't tell; then it is the carrier that counts. */
	readonly up: boolean;
	/** The kernel's word: "up", "down", "lowerlayerdown", "dormant", "unknown" … */
	readonly operstate: string;
	/** null: administratively down, and not told. */
	readonly carrier: boolean | null;
	readonly duplex: "full" | "half" | null;
	/** Bits per second; 0: unknown. */
	readonly speedBps: number;
}

/** null: the driver doesn't tell. What XDP alone has seen is in raw(). */
export interface QueueCount {
	readonly queue: number;
	readonly rxPackets: bigint | null;
	readonly rxBytes: bigint | null;
	readonly rxDrops: bigint | null;
	readonly txPackets: bigint | null;
	readonly txBytes: bigint | null;
	readonly txDrops: bigint | null;
}

export interface QueueCounters {
	/** By queue; empty where the driver tells nothing of its queues. ENODEV once the interface is gone. */
	read(): QueueCount[];
	/** All that ethtool -S shows. */
	raw(): { readonly name: string; readonly value: bigint }[];
}

export interface TcpEndpoint {
	/** 16 bytes. `::` is any address of both families, `::ffff:0.0.0.0` any of IPv4. */
	readonly address: Buffer;
	readonly port: number;
}

/** Queue pairs of an interface. */
export interface Channels {
	readonly driver: string;
	/** In use. */
	readonly combined: number;
	/** That the device has. */
	readonly most: number;
}

/** A socket that receives at a local port: a listening TCP socket or a bound UDP socket. */
export interface BoundSocket {
	readonly protocol: "tcp" | "udp";
	/** 16 bytes. `::` is any address of IPv6, `::ffff:0.0.0.0` any of IPv4. */
	readonly address: Buffer;
	readonly port: number;
	/** An IPv6 socket that receives IPv4 as well. */
	readonly both: boolean;
	/** To a client; UDP. */
	readonly connected: boolean;
	/** A TCP socket that accepts MPTCP connections. */
	readonly mptcp: boolean;
}

/** What happened to an MPTCP connection; one that has closed has nothing but its token. */
export interface MptcpEvent {
	readonly type: "established" | "closed" | "subflow-established" | "subflow-closed";
	readonly token: number;
	/** Of the local address; 0 is that of the first subflow. */
	readonly localId: number;
	readonly local: TcpEndpoint;
	readonly remote: TcpEndpoint;
}

export interface MptcpSubflow extends Omit<MptcpEvent, "type"> {
	/** Not the connection's first one. */
	readonly joined: boolean;
	readonly bytesReceived: number;
	/** That the client has acknowledged. */
	readonly bytesSent: number;
}

/** MPTCP's user-space path manager. Its commands throw EINVAL for a connection that is unknown, or that began while
 * net.mptcp.pm_type was 0. */
export interface MptcpPathManager {
	/** `id`: 1 to 255. Port 0: the one that the client uses already. */
	announce(token: number, id: number, endpoint: TcpEndpoint): void;
	withdraw(token: number, id: number): void;
	/** Sets the priority of the subflow between these two (MP_PRIO). */
	setBackup(token: number, local: TcpEndpoint, remote: TcpEndpoint, backup: boolean): void;
	/** How many endpoints the kernel's own path manager has. */
	kernelEndpoints(): number;
	close(): void;
}

/** An error "destination unreachable" about a UDP datagram. Addresses are 16 bytes. */
export interface IcmpError {
	/** The router or host that sent it. */
	readonly reporter: Buffer;
	/** Of type 3 (ICMP) or 1 (ICMPv6), as the quoted addresses are of either family. */
	readonly code: number;
	/** Of the quoted datagram. */
	readonly source: Buffer;
	readonly destination: Buffer;
	readonly destinationPort: number;
}

/** Raw sockets, which receive a copy of each such error. */
export interface IcmpErrors {
	/** Those since the last call, each different quote once; at most a bounded number. Any host can have sent them. */
	read(): IcmpError[];
	close(): void;
}

export interface Host {
	link(nameOrIndex: string | number): HostLink;
	/** Throws ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL where there is no way. */
	route(destination: Buffer): HostRoute;
	/** null: the kernel has no entry. */
	neighbour(ifindex: number, address: Buffer): HostNeighbour | null;
	/** Has the kernel ask for the neighbour; returns at once. */
	resolve(ifindex: number, address: Buffer): void;
	offloads(interfaceName: string): Feature[];
	setOffload(interfaceName: string, feature: string, active: boolean): void;
	/** null: the driver has no combined queues. */
	channels(interfaceName: string): Channels | null;
	/** Bits of netdev_xdp_act: 1 takes XDP programs, 4 frames that they send on through it. null: the kernel doesn't say. */
	xdpFeatures(ifindex: number): number | null;
	/** A tun device of our own; it goes when the descriptor is closed (by the caller, fs.closeSync). */
	openTun(name: string, severalQueues?: boolean): { fd: number; ifindex: number; name: string };
	/** One datagram to a Unix socket: an absolute path, or '@' and an abstract name. EAGAIN: it has not been read for a
	 * second. */
	sendUnixDatagram(socket: string, text: string): void;
	/**
	 * How many TCP connections this network namespace has at each local address and port, in the order asked: those in
	 * ESTABLISHED, CLOSE_WAIT and FIN_WAIT1. An IPv4 connection of an IPv6 socket counts as IPv4. The kernel is asked on
	 * another thread; EAGAIN when the sockets changed during each of four dumps.
	 */
	tcpSessions(asked: readonly TcpEndpoint[]): Promise<Uint32Array>;
	/** The sockets of this protocol at these ports, in this network namespace. Asked on another thread; ENOENT where the
	 * kernel has no sock_diag of this protocol, EAGAIN as above. */
	boundSockets(protocol: "tcp" | "udp", ports: readonly number[]): Promise<BoundSocket[]>;
	/** Established MPTCP subflows at these ports, in this network namespace. Asked on another thread. */
	mptcpSubflows(ports: readonly number[]): Promise<MptcpSubflow[]>;
	/** `lost`: the kernel had no room for some events. Throws ENOENT where the kernel has no MPTCP. */
	readonly MptcpPathManager: new (
		onEvents: (events: readonly MptcpEvent[], lost: boolean, error: Error | null) => void,
	) => MptcpPathManager;
	readonly QueueCounters: new (interfaceName: string) => QueueCounters;
	/** Throws EPERM without CAP_NET_RAW. */
	readonly IcmpErrors: new () => IcmpErrors;
	/** `speedBps` other than 0 replaces what the driver says. */
	readonly LinkCounters: new (
		interfaceName: string,
		speedBps?: number,
	) => LinkCounters;
}

export function host(): Host {
	return addon<{ readonly host: Host }>().host;
}
