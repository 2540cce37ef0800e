// kernel-dump.ts - `shunt dump -i` where Shunt's XDP program runs: each packet before and after it, with its verdict.
//
// Owns: the selection of packets by flow, reason and verdict, and the form of each in print and in a file.
// Must never: change a packet, or leave a program in the kernel.

import { parseAddress, parsePrefix } from "../config/index.js";
import {
	type DumpCounts,
	type DumpedBytes,
	type DumpedPacket,
	type FlowFilter,
	KernelDump,
	LOCAL_TARGET,
	reasons,
	XDP_ACTIONS,
} from "../engine/index.js";
import { ShuntError } from "../errors.js";
import { formatEndpoint } from "../wire/index.js";
import { CaptureWriter } from "./capture-writer.js";
import { decodePacket, hexLines, isoTime, packetJson, packetLine, packetText, type View } from "./dump-lines.js";
import type { DumpOptions, FlowOptions } from "./dump-options.js";
import { paintFor } from "./paint.js";
import { DIRECTION, type NgPacket, pcapngFormat } from "./pcapng-file.js";
import { count, number } from "./units.js";

/** Packets a second, printed and written to a file, that do not slow down a busy host. */
const RATE = { lines: 1000, file: 20_000 } as const;
const PROTOCOLS: Record<string, number> = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 };

export async function kernelDump(options: DumpOptions, view: View): Promise<void> {
	const name = options.interface as string;
	const rate = options.rate ?? (options.write === undefined ? RATE.lines : RATE.file);
	const chosen = reasonsOf(options);
	const dump = new KernelDump({
		interface: name,
		...flowOf(options),
		...(chosen === undefined ? {} : { reasons: chosen }),
		rate,
	});
	if (!options.json)
		process.stderr.write(
			`${name} runs Shunt's XDP program: packets before and after it, at most ${number(rate)} a second\n`,
		);
	const writer = options.write === undefined ? undefined : await openWriter(options.write, name);
	let stopped = false;
	for (const signal of ["SIGINT", "SIGTERM"] as const)
		process.once(signal, () => {
			stopped = true;
		});

	const paint = paintFor(process.stdout);
	let seen = 0;
	let counts: DumpCounts = { seen: 0, matched: 0, suppressed: 0, lost: 0 };
	let ended: string | undefined;
	try {
		while (!stopped && ended === undefined) {
			const read = await dump.read();
			({ counts, ended } = read);
			for (const packet of read.packets) {
				if (writer !== undefined) await write(writer, packet, options);
				else {
					const lines = options.json ? [json(packet, view, options)] : text(packet, view, options, paint);
					process.stdout.write(`${lines.join("\n")}\n`);
				}
				if (++seen === options.count) {
					stopped = true;
					break;
				}
			}
		}
	} finally {
		dump.close();
		await writer?.close();
	}
	if (options.json) return;
	if (writer !== undefined && options.write !== "-")
		process.stderr.write(`${count(seen, "packet")} written to ${options.write}\n`);
	const missing = `${number(counts.suppressed)} above the rate limit, ${number(counts.lost)} lost (buffer full)`;
	process.stderr.write(`${number(counts.matched)} of ${count(counts.seen, "packet")} matched; ${missing}\n`);
	if (ended !== undefined) process.stderr.write(`${ended}\n`);
}

// ---- selection

function flowOf(options: FlowOptions): FlowFilter {
	const { protocol, source, destination, sourcePort, destinationPort } = options;
	const from = source === undefined ? undefined : prefixOf(source);
	const to = destination === undefined ? undefined : prefixOf(destination);
	return {
		...(protocol === undefined ? {} : { protocol: protocolOf(protocol) }),
		...(from === undefined ? {} : { source: from.bytes, sourceBits: from.bits }),
		...(sourcePort === undefined ? {} : { sourcePort }),
		...(to === undefined ? {} : { destination: to.bytes, destinationBits: to.bits }),
		...(destinationPort === undefined ? {} : { destinationPort }),
	};
}

function protocolOf(text: string): number {
	const protocol = PROTOCOLS[text] ?? (/^\d{1,3}$/.test(text) ? Number(text) : 0);
	if (protocol < 1 || protocol > 255)
		throw new ShuntError("SHUNT_USAGE", {
			what: `--protocol: ${JSON.stringify(text)} is invalid; must be ${Object.keys(PROTOCOLS).join(", ")} or a number from 1 to 255.`,
		});
	return protocol;
}

function prefixOf(text: string): { bytes: Buffer; bits: number } {
	const address = parseAddress(text);
	if (address !== undefined) return { bytes: address.bytes, bits: 128 };
	const prefix = parsePrefix(text);
	if (prefix === undefined || prefix.hostBits) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text });
	return { bytes: prefix.bytes, bits: prefix.mappedLength };
}

/** Reasons of these names and verdicts; undefined: all. */
function reasonsOf({ reason, verdict }: FlowOptions): string[] | undefined {
	if (reason === undefined && verdict === undefined) return undefined;
	const known = reasons();
	for (const name of reason ?? [])
		if (!known.some((one) => one.name === name))
			throw new ShuntError("SHUNT_USAGE", {
				what: `--reason: ${JSON.stringify(name)} is not a reason; shunt reasons lists them.`,
			});
	const verdicts = [...new Set(known.map((one) => one.verdict))];
	for (const name of verdict ?? [])
		if (!verdicts.some((one) => one === name))
			throw new ShuntError("SHUNT_USAGE", {
				what: `--verdict: ${JSON.stringify(name)} is not a verdict; must be one of ${verdicts.join(", ")}.`,
			});
	return known
		.filter((one) => (reason?.includes(one.name) ?? true) && (verdict?.includes(one.verdict) ?? true))
		.map((one) => one.name);
}

// ---- printed form

function captured({ timestampNs }: DumpedPacket, { length, data }: DumpedBytes) {
	return { timestampNs, length, data: new Uint8Array(data) };
}

/** `forward, forwarded_new, target 3` */
function outcome({ verdict, reason, target }: DumpedPacket): string {
	const to = target === 0 ? "" : target === LOCAL_TARGET ? ", to this host" : `, target ${target}`;
	return `${verdict}, ${reason}${to}`;
}

function text(packet: DumpedPacket, view: View, options: DumpOptions, paint: ReturnType<typeof paintFor>): string[] {
	const { stage = "both" } = options;
	const before = captured(packet, packet.before);
	const colour = packet.verdict === "drop" ? "red" : packet.verdict === "forward" ? "green" : "cyan";
	const word = `[${paint(colour, outcome(packet))}]`;
	const lines: string[] = [];
	if (stage !== "after") {
		lines.push(`${packetLine(before, decodePacket(before, view), view, paint)} ${word}`);
		if (options.hex) lines.push(...hexLines(before, view));
	}
	if (stage === "before" || packet.after === null)
		return lines.length > 0 ? lines : [`${isoTime(packet.timestampNs)} ${word}`];
	const after = captured(packet, packet.after);
	const frame = decodePacket(after, view);
	lines.push(
		stage === "after" ? `${packetLine(after, frame, view, paint)} ${word}` : `\t→ ${packetText(frame, view, paint)}`,
	);
	if (options.hex) lines.push(...hexLines(after, view));
	return lines;
}

function json(packet: DumpedPacket, view: View, { stage = "both" }: DumpOptions): string {
	const { verdict, reason, action, target, service, ingress, egress, flow } = packet;
	const side = (bytes: DumpedBytes | null) => {
		if (bytes === null) return "null";
		const one = captured(packet, bytes);
		return packetJson(one, decodePacket(one, view), view);
	};
	const facts = JSON.stringify({
		time: isoTime(packet.timestampNs),
		verdict,
		reason,
		action,
		target,
		service,
		ingress,
		egress,
		flow: flow && {
			protocol: flow.protocol,
			source: formatEndpoint(flow.source, flow.sourcePort),
			destination: formatEndpoint(flow.destination, flow.destinationPort),
		},
	});
	const sides = [
		...(stage === "after" ? [] : [`"before":${side(packet.before)}`]),
		...(stage === "before" ? [] : [`"after":${side(packet.after)}`]),
	];
	return `${facts.slice(0, -1)},${sides.join(",")}}`;
}

// ---- written form

function openWriter(file: string, name: string): Promise<CaptureWriter<NgPacket>> {
	const interfaces = [
		{ name, description: "before the packet program" },
		{ name: `${name} after`, description: "after the packet program" },
	];
	return CaptureWriter.open(file, pcapngFormat("shunt dump", interfaces));
}

async function write(
	writer: CaptureWriter<NgPacket>,
	packet: DumpedPacket,
	{ stage = "both" }: DumpOptions,
): Promise<void> {
	const rest = {
		timestampNs: packet.timestampNs,
		comment: `verdict ${packet.verdict}, reason ${packet.reason}${packet.target === 0 ? "" : `, target ${packet.target}`}`,
		action: XDP_ACTIONS.indexOf(packet.action),
	};
	if (stage !== "after") await writer.write({ on: 0, direction: DIRECTION.inbound, ...packet.before, ...rest });
	if (stage !== "before" && packet.after !== null)
		await writer.write({ on: 1, direction: DIRECTION.outbound, ...packet.after, ...rest });
}
