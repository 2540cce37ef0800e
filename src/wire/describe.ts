// describe.ts - a decoded frame in one line, as tcpdump prints it, with the redirection header.
//
// Must never: decide or decode anything.

import { formatEndpoint } from "./endpoint.js";
import { FLAG, type Header, type HeaderResult } from "./header.js";
import type { ControlFrame, Frame, GeneveFrame, IpPacket, TcpSegment, UdpDatagram } from "./packet.js";

export function describeFrame(frame: Frame): string {
	const vlan = (frame.vlans ?? []).map((id) => `vlan ${id}, `).join("");
	if (frame.ip !== undefined) return vlan + describeIp(frame.ip);
	if (frame.problem !== undefined) return `${vlan}[${frame.problem}], length ${frame.length}`;
	const type = (frame.ethernet?.type ?? 0).toString(16).padStart(4, "0");
	return `${vlan}${frame.ethernet?.source} > ${frame.ethernet?.destination}, ethertype 0x${type}, length ${frame.length}`;
}

export function describeIp(ip: IpPacket): string {
	const name = ip.version === 4 ? "IP" : "IP6";
	const ports = ip.udp ?? ip.tcp;
	const from = ports === undefined ? ip.source : `${ip.source}.${ports.sourcePort}`;
	const to = ports === undefined ? ip.destination : `${ip.destination}.${ports.destinationPort}`;
	const problem = ip.problem === undefined ? "" : ` [${ip.problem}]`;
	return `${name} ${from} > ${to}: ${payload(ip)}${problem}`;
}

function payload(ip: IpPacket): string {
	const { fragment, udp, tcp, icmp } = ip;
	const piece =
		fragment === undefined ? "" : ` (frag id ${fragment.id}, offset ${fragment.offset}${fragment.more ? "+" : ""})`;
	if (udp !== undefined) return describeUdp(udp) + piece;
	if (tcp !== undefined) return describeTcp(tcp) + piece;
	if (icmp !== undefined) {
		const about = icmp.quoted === undefined ? "" : ` | about ${describeIp(icmp.quoted)}`;
		return `${ip.version === 4 ? "ICMP" : "ICMP6"} type ${icmp.type} code ${icmp.code}${about}`;
	}
	return `protocol ${ip.protocol}, length ${Math.max(ip.length - ip.headerLength, 0)}${piece}`;
}

function describeUdp(udp: UdpDatagram): string {
	if (udp.geneve !== undefined) return describeGeneve(udp.geneve);
	const option = udp.option === undefined ? "" : `, option ${describeResult(udp.option)}`;
	if (udp.control !== undefined) return describeControl(udp.control) + option;
	return `UDP, length ${udp.length}${option}`;
}

function describeGeneve(geneve: GeneveFrame): string {
	const parts = ["Geneve"];
	if (geneve.vni !== 0) parts.push(`vni ${geneve.vni}`);
	for (const option of geneve.header === undefined ? geneve.options : []) {
		parts.push(`option class 0x${option.class.toString(16)} type 0x${option.type.toString(16)} len ${option.length}`);
	}
	if (geneve.header !== undefined) parts.push(describeResult(geneve.header, geneve.tagRight));
	if (geneve.refusal !== undefined && geneve.header?.ok !== false) parts.push(`[${geneve.refusal}]`);
	return parts.join(", ") + (geneve.inner === undefined ? "" : ` | ${describeIp(geneve.inner)}`);
}

function describeControl(control: ControlFrame): string {
	const { about } = control;
	const protocol = about?.protocol === 6 ? "tcp" : about?.protocol === 17 ? "udp" : `protocol ${about?.protocol}`;
	const service = about === undefined ? "" : ` for ${protocol} ${about.address} port ${about.port}`;
	return `control${service}, ${describeResult(control.header)}${control.packet === undefined ? "" : ` | ${describeIp(control.packet)}`}`;
}

function describeTcp(tcp: TcpSegment): string {
	const ack = tcp.flags.includes(".") ? `, ack ${tcp.acknowledgment}` : "";
	const option = tcp.option === undefined ? "" : `, option ${describeResult(tcp.option)}`;
	const control = tcp.control === undefined ? "" : `, ${describeControl(tcp.control)}`;
	return `Flags [${tcp.flags || "none"}], seq ${tcp.sequence}${ack}, win ${tcp.window}, length ${tcp.length}${option}${control}`;
}

function describeResult(result: HeaderResult, tagRight?: boolean): string {
	return result.ok ? describeHeader(result.header, tagRight) : `redirect-header [${result.reason}]`;
}

/** `redirect-header forward target 10.0.2.11:5353 leased 60 s key 1 issued 1700000000 tag 7ac3…` */
export function describeHeader(header: Header, tagRight?: boolean): string {
	const words = ["redirect-header", header.type];
	if (header.type !== "capability") words.push("target", formatEndpoint(header.address, header.port));
	if (header.alternative !== undefined) {
		words.push("alternative", formatEndpoint(header.alternative.address, header.alternative.port));
	}
	if (header.flags & FLAG.redirect) words.push("redirect");
	if (header.flags & FLAG.permanent) words.push("permanent");
	if (header.flags & FLAG.once) words.push("once");
	if (header.flags & FLAG.leased) words.push("leased", String(header.lease), "s");
	if (header.flags & FLAG.failure) words.push("failure");
	if (header.flags & FLAG.packet) words.push("packet");
	if (header.hops > 0) words.push("hops", String(header.hops));
	if (header.nonce !== 0n) words.push("nonce", header.nonce.toString(16).padStart(16, "0"));
	if (header.type === "capability") return words.join(" ");
	words.push("key", String(header.keyId), "issued", String(header.issued), "tag", tagText(header.tag));
	if (tagRight !== undefined) words.push(tagRight ? "(right)" : "(WRONG)");
	return words.join(" ");
}

/** The eight bytes of a tag in wire order, in hex. */
export function tagText(tag: bigint): string {
	const bytes = new Uint8Array(8);
	new DataView(bytes.buffer).setBigUint64(0, tag, true);
	return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
