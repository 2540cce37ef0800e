// frame.ts - a captured frame -> a plain object, as far as its bytes carry: what `shunt dump` prints.
//
// Owns: walking Ethernet, VLAN, IPv4, IPv6 and its extension headers, UDP, TCP, ICMP, and our carriers inside them.
// Must never: throw, on any bytes. What is cut off or impossible is left out, and `problem` says so. It judges nothing:
// the packet program decides what is refused, this one shows what is there.

import { formatAddress, mapped } from "./address.js";
import { type Control, decodeControl, decodeReset, decodeSurplus, decodeTcpOptions } from "./carriers.js";
import {
	decodeGeneve,
	ETHERTYPE_IPV4,
	ETHERTYPE_IPV6,
	GENEVE_PORT,
	type GeneveReason,
	geneveRefusal,
} from "./geneve.js";
import { type Flow, type HeaderResult, headerTag } from "./header.js";

export interface FrameOptions {
	readonly link?: "ethernet" | "ip";
	readonly tunnelPort?: number;
	/** Secrets by key id: tags are then verified. */
	readonly keys?: ReadonlyMap<number, Uint8Array>;
}

export interface Frame {
	readonly length: number;
	readonly ethernet?: { readonly source: string; readonly destination: string; readonly type: number };
	readonly vlans?: readonly number[];
	readonly ip?: IpPacket;
	readonly problem?: string;
}

export interface IpPacket {
	readonly version: 4 | 6;
	readonly source: string;
	readonly destination: string;
	readonly ttl: number;
	readonly tos: number;
	/** Header and payload, as the header says. */
	readonly length: number;
	readonly headerLength: number;
	/** Of what follows the IP header and, in IPv6, its extension headers. */
	readonly protocol: number;
	readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean };
	readonly dontFragment?: boolean;
	readonly udp?: UdpDatagram;
	readonly tcp?: TcpSegment;
	readonly icmp?: IcmpMessage;
	readonly problem?: string;
}

export interface UdpDatagram {
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly checksum: number;
	/** Of the payload. */
	readonly length: number;
	readonly geneve?: GeneveFrame;
	readonly control?: ControlFrame;
	/** In the surplus area. */
	readonly option?: HeaderResult;
}

export interface GeneveFrame {
	readonly protocol: number;
	readonly vni: number;
	readonly critical: boolean;
	readonly options: readonly { readonly class: number; readonly type: number; readonly length: number }[];
	readonly header?: HeaderResult;
	/** Why a backend would refuse it before looking at key, tag and age. */
	readonly refusal?: GeneveReason;
	/** Whether the tag is right; absent where the key is not known. */
	readonly tagRight?: boolean;
	readonly inner?: IpPacket;
}

export interface ControlFrame {
	readonly header: HeaderResult;
	/** The service that it speaks of; a RST speaks of its own. */
	readonly about?: { readonly protocol: number; readonly port: number; readonly address: string };
	readonly packet?: IpPacket;
}

export interface TcpSegment {
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly sequence: number;
	readonly acknowledgment: number;
	readonly window: number;
	/** As tcpdump writes them: S, F, R, P, U, E, W and a dot for ACK. */
	readonly flags: string;
	/** Of the data. */
	readonly length: number;
	readonly option?: HeaderResult;
	readonly control?: ControlFrame;
}

export interface IcmpMessage {
	readonly type: number;
	readonly code: number;
	/** The packet that an error is about. */
	readonly quoted?: IpPacket;
}

const VLAN_TYPES = [0x8100, 0x88a8, 0x9100];
const [ICMP, TCP, UDP, ICMPV6] = [1, 6, 17, 58];
const EXTENSIONS = [0, 43, 60, 135, 139, 140]; // of the common form (RFC 8200 4.2, RFC 6564)
const [FRAGMENT, AUTHENTICATION] = [44, 51];
const TOO_SHORT = "cut off";
const DEPTH = 4; // packets within packets

interface Walk {
	readonly tunnelPort: number;
	readonly keys: ReadonlyMap<number, Uint8Array>;
	readonly depth: number;
}

export function decodeFrame(bytes: Uint8Array, options: FrameOptions = {}): Frame {
	const walk = { tunnelPort: options.tunnelPort ?? GENEVE_PORT, keys: options.keys ?? new Map(), depth: 0 };
	if (options.link === "ip") return { length: bytes.length, ip: decodeIp(bytes, walk) };
	if (bytes.length < 14) return { length: bytes.length, problem: TOO_SHORT };
	const vlans: number[] = [];
	let type = u16(bytes, 12);
	let at = 14;
	while (VLAN_TYPES.includes(type)) {
		if (bytes.length < at + 4) return { length: bytes.length, vlans, problem: TOO_SHORT };
		vlans.push(u16(bytes, at) & 0xfff);
		type = u16(bytes, at + 2);
		at += 4;
	}
	return {
		length: bytes.length,
		ethernet: { destination: mac(bytes, 0), source: mac(bytes, 6), type },
		...(vlans.length > 0 ? { vlans } : {}),
		...(type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6 ? { ip: decodeIp(bytes.subarray(at), walk) } : {}),
	};
}

/** The flow that a tag covers, of the packet inside the tunnel: ports are zero in a fragment; an ICMP error has the
 * flow that it quotes, turned round, so that it reads as the client sent it. A quoted first fragment has its ports: the
 * error itself is whole. */
export function tagFlow(ip: IpPacket, raw: Uint8Array, isQuote = false): Flow | undefined {
	const size = ip.version === 4 ? 4 : 16;
	const at = ip.version === 4 ? 12 : 8;
	if (raw.length < at + 2 * size) return undefined;
	const source = widen(raw.subarray(at, at + size));
	const destination = widen(raw.subarray(at + size, at + 2 * size));
	if (ip.icmp?.quoted !== undefined) {
		const flow = tagFlow(ip.icmp.quoted, raw.subarray(ip.headerLength + 8), true);
		if (flow === undefined) return undefined;
		return {
			...flow,
			source: flow.destination,
			destination: flow.source,
			sourcePort: flow.destinationPort,
			destinationPort: flow.sourcePort,
		};
	}
	const ports = ip.fragment === undefined || isQuote ? (ip.udp ?? ip.tcp) : { sourcePort: 0, destinationPort: 0 };
	if (ports === undefined) return undefined;
	const { sourcePort, destinationPort } = ports;
	return { family: ip.version, source, destination, sourcePort, destinationPort, protocol: ip.protocol };
}

function decodeIp(bytes: Uint8Array, walk: Walk): IpPacket {
	return (bytes[0] ?? 0x40) >> 4 === 6 ? decodeIpv6(bytes, walk) : decodeIpv4(bytes, walk);
}

function decodeIpv4(bytes: Uint8Array, walk: Walk): IpPacket {
	if (bytes.length < 20) return nothing(4, bytes);
	const headerLength = ((bytes[0] as number) & 15) * 4;
	const length = u16(bytes, 2);
	const bits = u16(bytes, 6);
	const fragment = { id: u16(bytes, 4), offset: (bits & 0x1fff) * 8, more: (bits & 0x2000) !== 0 };
	const head = {
		version: 4 as const,
		source: formatAddress(bytes.subarray(12, 16)),
		destination: formatAddress(bytes.subarray(16, 20)),
		ttl: bytes[8] as number,
		tos: bytes[1] as number,
		length,
		headerLength,
		protocol: bytes[9] as number,
		...(fragment.offset > 0 || fragment.more ? { fragment } : {}),
		...(bits & 0x4000 ? { dontFragment: true } : {}),
	};
	if ((bytes[0] as number) >> 4 !== 4) return { ...head, problem: "unknown IP version" };
	if (headerLength < 20 || length < headerLength) return { ...head, problem: "impossible length" };
	return withTransport(head, bytes, walk);
}

function decodeIpv6(bytes: Uint8Array, walk: Walk): IpPacket {
	if (bytes.length < 40) return nothing(6, bytes);
	const head = {
		version: 6 as const,
		source: formatAddress(bytes.subarray(8, 24)),
		destination: formatAddress(bytes.subarray(24, 40)),
		ttl: bytes[7] as number,
		tos: (u16(bytes, 0) >> 4) & 0xff,
		length: 40 + u16(bytes, 4),
	};
	let next = bytes[6] as number;
	let at = 40;
	let fragment: IpPacket["fragment"];
	while (EXTENSIONS.includes(next) || next === FRAGMENT || next === AUTHENTICATION) {
		if (bytes.length < at + 8) return { ...head, headerLength: at, protocol: next, problem: TOO_SHORT };
		const kind = next;
		const size = bytes[at + 1] as number;
		if (kind === FRAGMENT) {
			const bits = u16(bytes, at + 2);
			fragment = { id: u32(bytes, at + 4), offset: bits & 0xfff8, more: (bits & 1) !== 0 };
		}
		next = bytes[at] as number;
		at += kind === FRAGMENT ? 8 : kind === AUTHENTICATION ? (size + 2) * 4 : (size + 1) * 8;
		if (fragment !== undefined && fragment.offset > 0) break;
	}
	const whole = fragment === undefined || (fragment.offset === 0 && !fragment.more);
	return withTransport(
		{ ...head, headerLength: at, protocol: next, ...(whole || fragment === undefined ? {} : { fragment }) },
		bytes,
		walk,
	);
}

function withTransport(ip: IpPacket, bytes: Uint8Array, walk: Walk): IpPacket {
	if (ip.fragment !== undefined && ip.fragment.offset > 0) return ip;
	const end = Math.min(bytes.length, ip.length);
	const rest = bytes.subarray(Math.min(ip.headerLength, end), end);
	const problem = bytes.length < ip.length ? { problem: TOO_SHORT } : {};
	if (ip.protocol === UDP) {
		const udp = decodeUdp(rest, ip, walk);
		return udp === undefined ? { ...ip, problem: TOO_SHORT } : { ...ip, udp, ...problem };
	}
	if (ip.protocol === TCP) {
		const tcp = decodeTcp(rest, ip.length - ip.headerLength);
		return tcp === undefined ? { ...ip, problem: TOO_SHORT } : { ...ip, tcp, ...problem };
	}
	if ((ip.protocol === ICMP && ip.version === 4) || (ip.protocol === ICMPV6 && ip.version === 6)) {
		if (rest.length < 4) return { ...ip, problem: TOO_SHORT };
		const [type, code] = [rest[0] as number, rest[1] as number];
		const error = ip.version === 4 ? [3, 4, 5, 11, 12].includes(type) : type < 128;
		const quotes = error && rest.length > 8 && walk.depth < DEPTH;
		const quoted = quotes ? { quoted: decodeIp(rest.subarray(8), deeper(walk)) } : {};
		return { ...ip, icmp: { type, code, ...quoted }, ...problem };
	}
	return { ...ip, ...problem };
}

function decodeUdp(bytes: Uint8Array, ip: IpPacket, walk: Walk): UdpDatagram | undefined {
	if (bytes.length < 8) return undefined;
	const said = u16(bytes, 4);
	const end = Math.min(Math.max(said, 8), bytes.length);
	const payload = bytes.subarray(8, end);
	const datagram = {
		sourcePort: u16(bytes, 0),
		destinationPort: u16(bytes, 2),
		checksum: u16(bytes, 6),
		length: Math.max(said - 8, 0),
	};
	if (ip.fragment !== undefined) return datagram;
	const surplus = ip.length - ip.headerLength > said && said >= 8 ? bytes.subarray(end) : undefined;
	const option = surplus === undefined ? undefined : decodeSurplus(surplus, said % 2 === 1);
	const geneve = datagram.destinationPort === walk.tunnelPort ? decodeTunnel(payload, walk) : undefined;
	const control = geneve === undefined ? controlFrame(decodeControl(payload), walk) : undefined;
	return {
		...datagram,
		...(geneve === undefined ? {} : { geneve }),
		...(control === undefined ? {} : { control }),
		...(option === undefined ? {} : { option }),
	};
}

function decodeTunnel(bytes: Uint8Array, walk: Walk): GeneveFrame | undefined {
	const geneve = decodeGeneve(bytes);
	if (geneve === undefined) return undefined;
	const { header } = geneve;
	const refusal = geneveRefusal(bytes);
	const raw = bytes.subarray(geneve.innerAt);
	const isIp = geneve.protocol === ETHERTYPE_IPV4 || geneve.protocol === ETHERTYPE_IPV6;
	const inner = isIp && raw.length > 0 && walk.depth < DEPTH ? decodeIp(raw, deeper(walk)) : undefined;
	let tagRight: boolean | undefined;
	if (header?.ok && inner !== undefined) {
		const key = walk.keys.get(header.header.keyId);
		const flow = key === undefined ? undefined : tagFlow(inner, raw);
		if (key !== undefined && flow !== undefined) tagRight = headerTag(header.header, flow, key) === header.header.tag;
	}
	return {
		protocol: geneve.protocol,
		vni: geneve.vni,
		critical: geneve.critical,
		options: geneve.options.map((option) => ({ class: option.class, type: option.type, length: option.data.length })),
		...(header === undefined ? {} : { header }),
		...(refusal === undefined ? {} : { refusal }),
		...(tagRight === undefined ? {} : { tagRight }),
		...(inner === undefined ? {} : { inner }),
	};
}

function controlFrame(control: Control | undefined, walk: Walk): ControlFrame | undefined {
	if (control === undefined) return undefined;
	const { header, about, packet } = control;
	const whom = about === undefined ? {} : { about: { ...about, address: formatAddress(about.address) } };
	if (packet === undefined || packet.length === 0 || walk.depth >= DEPTH) return { header, ...whom };
	return { header, ...whom, packet: decodeIp(packet, deeper(walk)) };
}

function decodeTcp(bytes: Uint8Array, length: number): TcpSegment | undefined {
	if (bytes.length < 20) return undefined;
	const headerLength = ((bytes[12] as number) >> 4) * 4;
	const bits = bytes[13] as number;
	const reset = (bits & 4) !== 0;
	const option = decodeTcpOptions(bytes.subarray(20, Math.max(headerLength, 20)));
	const header = reset ? decodeReset(bytes.subarray(Math.max(headerLength, 20))) : undefined;
	return {
		sourcePort: u16(bytes, 0),
		destinationPort: u16(bytes, 2),
		sequence: u32(bytes, 4),
		acknowledgment: u32(bytes, 8),
		window: u16(bytes, 14),
		flags: ["F", "S", "R", "P", ".", "U", "E", "W"].filter((_, i) => bits & (1 << i)).join(""),
		length: Math.max(length - headerLength, 0),
		...(option === undefined ? {} : { option }),
		...(header === undefined ? {} : { control: { header } }),
	};
}

function nothing(version: 4 | 6, bytes: Uint8Array): IpPacket {
	const unknown = { source: "?", destination: "?", ttl: 0, tos: 0, protocol: 0 };
	return { version, ...unknown, length: bytes.length, headerLength: bytes.length, problem: TOO_SHORT };
}

function deeper(walk: Walk): Walk {
	return { ...walk, depth: walk.depth + 1 };
}

function widen(address: Uint8Array): Uint8Array {
	return address.length === 4 ? mapped(address) : address.slice();
}

function mac(bytes: Uint8Array, at: number): string {
	return [...bytes.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function u16(bytes: Uint8Array, at: number): number {
	return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function u32(bytes: Uint8Array, at: number): number {
	return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0;
}
