// dump.ts - `shunt dump`: packets of an interface or a file, decoded like tcpdump, with redirection headers.
//
// Owns: the source of the packets and their output. A classic pcap file needs neither the addon nor a privilege;
// interfaces, filters and pcapng files need libpcap, through the addon.
// Must never: change a packet that it writes.

import { existsSync } from "node:fs";
import { ShuntError } from "../errors.js";
import { CaptureWriter } from "./capture-writer.js";
import { decodePacket, hexLines, isKnownLink, packetJson, packetLine, type View } from "./dump-lines.js";
import { type DumpOptions, FLOW_OPTIONS } from "./dump-options.js";
import { paintFor } from "./paint.js";
import { openPcap, type Packet, pcapFormat } from "./pcap-file.js";
import { count } from "./units.js";

interface Source {
	readonly linktype: number;
	readonly nanoseconds: boolean;
	readonly packets: AsyncIterable<Packet>;
	/** Packets that the kernel dropped; undefined for a file. */
	dropped?(): number;
	stop(): void;
}

export async function dump(options: DumpOptions): Promise<void> {
	if ((options.interface === undefined) === (options.read === undefined))
		throw new ShuntError("SHUNT_USAGE", {
			what: "Neither an interface nor a file is given; name one with -i INTERFACE or -r FILE.",
		});
	const secrets = await secretsOf(options.config);
	if (options.interface !== undefined && (await runsShuntXdp(options))) {
		const { kernelDump } = await import("./kernel-dump.js");
		return kernelDump(options, { linktype: 1, ...secrets });
	}
	rejectFlowOptions(options);
	const source = options.interface === undefined ? await fileSource(options) : await liveSource(options);
	const view: View = { linktype: source.linktype, ...secrets };
	if (!isKnownLink(source.linktype)) {
		const why = `its link type ${source.linktype} is not supported`;
		throw new ShuntError("SHUNT_CAPTURE_INVALID", { file: options.read ?? String(options.interface), why });
	}
	const writer = options.write === undefined ? undefined : await openWriter(options.write, source);
	const paint = paintFor(process.stdout);
	process.once("SIGINT", () => source.stop());
	process.once("SIGTERM", () => source.stop());

	let seen = 0;
	for await (const packet of source.packets) {
		if (writer !== undefined) await writer.write(packet);
		else {
			const frame = decodePacket(packet, view);
			const line = options.json ? packetJson(packet, frame, view) : packetLine(packet, frame, view, paint);
			const hex = options.hex && !options.json ? hexLines(packet, view) : [];
			process.stdout.write(`${[line, ...hex].join("\n")}\n`);
		}
		if (++seen === options.count) break;
	}

	await writer?.close();
	source.stop();
	if (options.json) return;
	const dropped = source.dropped?.();
	if (writer !== undefined && options.write !== "-")
		process.stderr.write(`${count(seen, "packet")} written to ${options.write}\n`);
	if (dropped !== undefined)
		process.stderr.write(`${count(seen, "packet")} captured, ${dropped} dropped by the kernel (buffer full)\n`);
}

/** Whether Shunt's XDP program handles this interface's packets before AF_PACKET could capture them. */
async function runsShuntXdp(options: DumpOptions): Promise<boolean> {
	const name = options.interface as string;
	if (name === "any") return false;
	needLink(name);
	const { xdpProgram } = await import("../engine/index.js");
	if (!xdpProgram(name)?.ours) return false;
	if (options.filter !== undefined)
		throw new ShuntError("SHUNT_USAGE", {
			what: `--filter: ${name} runs Shunt's XDP program, which handles packets before a capture filter sees them; use --protocol, --source, --destination, --reason or --verdict instead.`,
		});
	return true;
}

function rejectFlowOptions(options: DumpOptions): void {
	const given = FLOW_OPTIONS.find((one) => options[one] !== undefined);
	if (given === undefined) return;
	const option = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
	throw new ShuntError("SHUNT_USAGE", {
		what: `--${option} needs an interface that runs Shunt's XDP program; use --filter instead.`,
	});
}

/** Throws if the interface does not exist or the user may not capture. */
function needLink(name: string): void {
	if (name !== "any" && !existsSync(`/sys/class/net/${name}`))
		throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: name });
	if (process.getuid?.() !== 0) throw new ShuntError("SHUNT_NOT_ROOT", { command: "shunt dump -i" });
}

async function secretsOf(file: string | undefined): Promise<Omit<View, "linktype">> {
	if (file === undefined) return {};
	const { readConfig } = await import("../config/index.js");
	const { keys, tunnelPort } = readConfig(file).cluster;
	return { tunnelPort, keys: new Map(keys.map((key) => [key.id, Buffer.from(key.secret, "hex")])) };
}

async function fileSource(options: DumpOptions): Promise<Source> {
	const file = options.read as string;
	const own = options.filter === undefined ? await openPcap(file) : undefined;
	if (own !== undefined) {
		let stopped = false;
		const packets = async function* () {
			for await (const packet of own.packets) {
				if (stopped) return;
				yield packet;
			}
		};
		return {
			linktype: own.linktype,
			nanoseconds: own.nanoseconds,
			packets: packets(),
			stop: () => {
				stopped = true;
			},
		};
	}
	if (file !== "-" && !existsSync(file))
		throw new ShuntError("SHUNT_CAPTURE_INVALID", { file, why: "there is no such file" });
	if (file === "-" && options.filter === undefined)
		throw new ShuntError("SHUNT_CAPTURE_INVALID", {
			file: "Standard input",
			why: "pcapng is read from files only; save it to a file first",
		});
	const { dropped: _, ...source } = await captureSource({
		file,
		...(options.filter === undefined ? {} : { filter: options.filter }),
	});
	return source;
}

async function liveSource(options: DumpOptions): Promise<Source> {
	const name = options.interface as string;
	needLink(name);
	const source = await captureSource({
		interface: name,
		...(options.filter === undefined ? {} : { filter: options.filter }),
	});
	if (!options.json) process.stderr.write(`listening on ${name}\n`);
	return source;
}

async function captureSource(from: { interface?: string; file?: string; filter?: string }): Promise<Source> {
	const { CaptureStream } = await import("../engine/capture-stream.js");
	const stream = new CaptureStream(from);
	let stopped = false;
	let dropped = 0;
	const packets = async function* () {
		try {
			for (;;) {
				const { packets, ended } = await stream.read();
				yield* packets.map((packet) => ({ ...packet, data: new Uint8Array(packet.data) }));
				if (ended || stopped) return;
			}
		} finally {
			dropped = stream.dropped;
			stream.close();
		}
	};
	return {
		linktype: stream.linktype,
		nanoseconds: true,
		packets: packets(),
		dropped: () => dropped,
		stop: () => {
			stopped = true;
		},
	};
}

/** libpcap has another number for raw IP (DLT_RAW) than files have (LINKTYPE_RAW). */
function openWriter(file: string, source: Source): Promise<CaptureWriter<Packet>> {
	const linktype = source.linktype === 12 || source.linktype === 14 ? 101 : source.linktype;
	return CaptureWriter.open(file, pcapFormat({ linktype, nanoseconds: source.nanoseconds }));
}
