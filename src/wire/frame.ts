// frame.ts - decodes a captured frame into a plain object, as far as its bytes allow, for `shunt dump` and the tests.
//
// Owns: parsing of Ethernet, VLAN tags, IPv4, IPv6 with extension headers, UDP, TCP, ICMP, and the header's carriers
// inside them.
// Must never: throw on any bytes. Truncated or impossible parts are left out and named in `problem`. It does not judge
// packets: the packet program decides what is refused.

import { formatAddress } from "./address.js";
import { u16, u32 } from "./bytes.js";
import { type Control, decodeControl } from "./carrier/control.js";
import { decodeGeneve, ETHERTYPE_IPV4, ETHERTYPE_IPV6, GENEVE_PORT, geneveRefusal } from "./carrier/geneve.js";
import { decodeTcpOptions } from "./carrier/tcp-option.js";
import { decodeReset } from "./carrier/tcp-reset.js";
import { decodeSurplus } from "./carrier/udp-option.js";
import { headerTag } from "./header.js";
import type { ControlFrame, Frame, GeneveFrame, IpPacket, TcpSegment, UdpDatagram } from "./packet.js";
import { tagFlow } from "./tag-flow.js";

export interface FrameOptions {
	readonly link?: "ethernet" | "ip";
	readonly tunnelPort?: number;
	/** Secrets by key id; with them, tags are verified. */
	readonly keys?: ReadonlyMap<number, Uint8Array>;
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

function decodeIp(bytes: Uint8Array, walk: Walk): IpPacket {
	return (bytes[0] ?? 0x40) >> 4 === 6 ? decodeIpv6(bytes, walk) : decodeIpv4(bytes, walk);
}

function decodeIpv4(bytes: Uint8Array, walk: Walk): IpPacket {
	if (bytes.length < 20) return truncated(4, bytes);
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
	if (bytes.length < 40) return truncated(6, bytes);
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
	const declared = u16(bytes, 4);
	const end = Math.min(Math.max(declared, 8), bytes.length);
	const payload = bytes.subarray(8, end);
	const datagram = {
		sourcePort: u16(bytes, 0),
		destinationPort: u16(bytes, 2),
		checksum: u16(bytes, 6),
		length: Math.max(declared - 8, 0),
	};
	if (ip.fragment !== undefined) return datagram;
	const surplus = ip.length - ip.headerLength > declared && declared >= 8 ? bytes.subarray(end) : undefined;
	const option = surplus === undefined ? undefined : decodeSurplus(surplus, declared % 2 === 1);
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
	const service = about === undefined ? {} : { about: { ...about, address: formatAddress(about.address) } };
	if (packet === undefined || packet.length === 0 || walk.depth >= DEPTH) return { header, ...service };
	return { header, ...service, packet: decodeIp(packet, deeper(walk)) };
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

function truncated(version: 4 | 6, bytes: Uint8Array): IpPacket {
	const unknown = { source: "?", destination: "?", ttl: 0, tos: 0, protocol: 0 };
	return { version, ...unknown, length: bytes.length, headerLength: bytes.length, problem: TOO_SHORT };
}

function deeper(walk: Walk): Walk {
	return { ...walk, depth: walk.depth + 1 };
}

function mac(bytes: Uint8Array, at: number): string {
	return [...bytes.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
