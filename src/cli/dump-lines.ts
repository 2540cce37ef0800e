// dump-lines.ts - a captured packet as the lines that `shunt dump` prints, as text and as JSON.
//
// Owns: time, hex, the verdict on the tag, and the shape of --json. src/wire decodes the packet.
// Must never: throw, on any packet.

import {
	decodeFrame,
	describeFrame,
	FLAG,
	type Frame,
	type FrameOptions,
	formatEndpoint,
	type GeneveFrame,
	HEADER_TYPES,
	type Header,
	tagText,
} from "../wire/index.js";
import type { Paint } from "./paint.js";
import type { Packet } from "./pcap-file.js";

export interface View {
	readonly linktype: number;
	/** undefined: tags are not verified. */
	readonly keys?: ReadonlyMap<number, Uint8Array> | undefined;
	readonly tunnelPort?: number | undefined;
}

const [ETHERNET, SLL, SLL2] = [1, 113, 276];
/** Raw IP: the LINKTYPE_ values of files, and DLT_RAW of libpcap. */
const RAW = [12, 14, 101, 228, 229];

/** Whether packets of this link type can be decoded. */
export function isKnownLink(linktype: number): boolean {
	return [ETHERNET, SLL, SLL2, ...RAW].includes(linktype);
}

export function decodePacket(packet: Packet, view: View): Frame {
	const options: FrameOptions = {
		...(RAW.includes(view.linktype) ? { link: "ip" as const } : {}),
		...(view.keys === undefined ? {} : { keys: view.keys }),
		...(view.tunnelPort === undefined ? {} : { tunnelPort: view.tunnelPort }),
	};
	return decodeFrame(asEthernet(packet.data, view.linktype), options);
}

/** Converts a Linux cooked header to Ethernet; the destination address stays zero. */
function asEthernet(data: Uint8Array, linktype: number): Uint8Array {
	if (linktype !== SLL && linktype !== SLL2) return data;
	const [length, protocolAt, addressAt] = linktype === SLL ? [16, 14, 6] : [20, 0, 12];
	if (data.length < length) return new Uint8Array(0);
	const frame = new Uint8Array(14 + data.length - length);
	frame.set(data.subarray(addressAt, addressAt + 6), 6);
	frame.set(data.subarray(protocolAt, protocolAt + 2), 12);
	frame.set(data.subarray(length), 14);
	return frame;
}

/** `14:11:53.123456 IP … tag ok` */
export function packetLine(packet: Packet, frame: Frame, view: View, paint: Paint): string {
	return `${clock(packet.timestampNs)} ${packetText(frame, view, paint)}`;
}

/** The same without the time. */
export function packetText(frame: Frame, view: View, paint: Paint): string {
	const geneve = frame.ip?.udp?.geneve;
	const word = tagWord(geneve, view);
	// The verdict on the tag ends the line, where it is found however long the line is.
	const shown = geneve?.tagRight === undefined ? frame : withoutVerdict(frame, geneve);
	const painted = word === "tag ok" ? paint("green", word) : word === "tag WRONG" ? paint("red", word) : word;
	return `${describeFrame(shown)}${word === undefined ? "" : `, ${painted}`}`;
}

/** undefined: the packet has no redirection header. */
function tagWord(geneve: GeneveFrame | undefined, view: View): string | undefined {
	if (!geneve?.header?.ok) return undefined;
	if (geneve.tagRight !== undefined) return geneve.tagRight ? "tag ok" : "tag WRONG";
	if (view.keys === undefined) return "tag unverified";
	const id = geneve.header.header.keyId;
	return view.keys.has(id) ? "tag unverified" : `tag unverified (no key ${id})`;
}

function withoutVerdict(frame: Frame, { tagRight: _, ...geneve }: GeneveFrame): Frame {
	const { ip } = frame;
	if (ip?.udp === undefined) return frame;
	return { ...frame, ip: { ...ip, udp: { ...ip.udp, geneve } } };
}

/** Local time, like tcpdump. */
function clock(timestampNs: bigint): string {
	const time = new Date(Number(timestampNs / 1_000_000n));
	const two = (value: number) => String(value).padStart(2, "0");
	const micro = String((timestampNs / 1000n) % 1_000_000n).padStart(6, "0");
	return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${micro}`;
}

/** The bytes from the IP header on, like `tcpdump -x`. */
export function hexLines(packet: Packet, view: View): string[] {
	const frame = asEthernet(packet.data, view.linktype);
	const bytes = RAW.includes(view.linktype) ? frame : frame.subarray(linkHeaderLength(frame));
	const lines: string[] = [];
	for (let at = 0; at < bytes.length; at += 16) {
		const hex = Buffer.from(bytes.subarray(at, at + 16)).toString("hex");
		const words = hex.match(/.{1,4}/g) ?? [];
		lines.push(`\t0x${at.toString(16).padStart(4, "0")}:  ${words.join(" ")}`);
	}
	return lines;
}

function linkHeaderLength(frame: Uint8Array): number {
	let at = 12;
	while ([0x8100, 0x88a8, 0x9100].includes(((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0))) at += 4;
	return at + 2;
}

/** One line of JSON. Addresses are text, flags are names, 64-bit numbers are 16 hex digits. */
export function packetJson(packet: Packet, frame: Frame, view: View): string {
	const tag = tagWord(frame.ip?.udp?.geneve, view);
	const { length: _, ...rest } = frame;
	const answer = { time: isoTime(packet.timestampNs), length: packet.length, captured: packet.data.length, ...rest };
	return JSON.stringify(
		tag === undefined ? answer : { ...answer, tag: tag.split(" ")[1]?.toLowerCase() },
		(_, value) => (isHeader(value) ? headerJson(value) : value),
	);
}

export function isoTime(timestampNs: bigint): string {
	const seconds = new Date(Number(timestampNs / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
	return `${seconds}.${String(timestampNs % 1_000_000_000n).padStart(9, "0")}Z`;
}

function isHeader(value: unknown): value is Header {
	return (
		typeof value === "object" && value !== null && HEADER_TYPES.includes((value as Header).type) && "nonce" in value
	);
}

function headerJson(header: Header): object {
	const { address, alternative, nonce, tag, flags, ...rest } = header;
	return {
		...rest,
		flags: Object.entries(FLAG).flatMap(([name, bit]) => (flags & bit ? [name] : [])),
		target: formatEndpoint(address, header.port),
		...(alternative === undefined ? {} : { alternative: formatEndpoint(alternative.address, alternative.port) }),
		nonce: nonce.toString(16).padStart(16, "0"),
		tag: tagText(tag),
	};
}
