// engine.mjs - `npm run bench -- engine [--quick] [--json]`: the user-space engine beside libpcap, tcpdump, cap and raw-socket.
//
// All subjects in one run, in the order A B … B A, round by round; each gets the same generator flat out for the same time.
// A figure is what arrived, per second of sending; the loss stands beside it. Where nothing was lost, the generator was the
// limit and the figure is a lower bound: the table says so. Beside it therefore stands the processor time that the subject
// took for a packet, which needs no faster generator; the kernel's own work for the link is on the generator's processor.
//
// Owns: the subjects, the rounds, and the result file. Must never: drop a round, or call a rate good that lost packets.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEVICE, down, GENERATOR, ifindex, received, SINK, start, up } from "./rig.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const script = (name) => join(here, name);
const SECONDS = 0.7;

export async function run(options) {
	const quick = options.includes("--quick");
	const rounds = quick ? 2 : 7;
	const work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
	try {
		execFileSync("gcc", ["-O2", "-o", join(work, "pcap_bare"), script("pcap_bare.c"), "-lpcap"], { stdio: "inherit" });
		up();
		neighbour();
		const list = subjects(work, ifindex(DEVICE, "d1"));
		const results = [];
		for (const size of [64, 1400]) {
			for (let round = 0; round < rounds; round++) {
				const order = round % 2 ? [...list].reverse() : list;
				for (const subject of order) {
					if (process.stderr.isTTY)
						process.stderr.write(`\r\x1b[K${size} bytes, round ${round + 1} of ${rounds}: ${subject.name}`);
					results.push({ size, round, ...(await measure(subject, size)) });
				}
			}
		}
		if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
		const report = summarise(results, list, rounds);
		if (options.includes("--json")) console.log(JSON.stringify(report, null, "\t"));
		else console.log(render(report));
		if (!quick) save(report);
		return 0;
	} finally {
		down();
		rmSync(work, { recursive: true, force: true });
	}
}

/** raw-socket sends by the kernel's routes: the way to its destination is d1. */
function neighbour() {
	const ip = (...args) => execFileSync("ip", ["-n", DEVICE, ...args]);
	ip("address", "add", "10.77.3.1/24", "dev", "d1");
	ip("neighbour", "add", "10.77.3.11", "lladdr", "02:bb:00:00:00:04", "dev", "d1");
}

function subjects(work, out) {
	const node = process.execPath;
	const ours = (name, transmit, forward) => ({
		name,
		kind: forward ? "forward" : "capture",
		ours: true,
		command: [node, script("ours.mjs"), transmit, forward ? "1" : "0", String(out)],
	});
	return [
		{ name: "pcap_dispatch, bare", kind: "capture", base: true, command: [join(work, "pcap_bare"), "d0"] },
		{
			name: "tcpdump -w /dev/null",
			kind: "capture",
			command: ["tcpdump", "-i", "d0", "-n", "-B", "65536", "-w", "/dev/null"],
		},
		ours("shunt", "sendmmsg", false),
		{
			name: "pcap_dispatch → pcap_inject",
			kind: "forward",
			base: true,
			command: [join(work, "pcap_bare"), "d0", "d1"],
		},
		{ name: "cap → cap.send", kind: "forward", command: [node, script("cap.mjs"), "send"] },
		{ name: "cap → raw-socket", kind: "forward", command: [node, script("cap.mjs"), "raw"] },
		ours("shunt → sendmmsg", "sendmmsg", true),
		ours("shunt → TX ring", "ring", true),
		ours("shunt → pcap_inject", "pcap", true),
	];
}

async function measure(subject, size) {
	const program = await start(DEVICE, 1, subject.command[0], subject.command.slice(1));
	const before = received(SINK, "s0");
	const cpuBefore = program.cpu();
	const offered = JSON.parse(
		execFileSync(
			"ip",
			[
				"netns",
				"exec",
				GENERATOR,
				"taskset",
				"-c",
				"0",
				process.execPath,
				script("generator.mjs"),
				"g0",
				String(size),
				"1000",
				String(SECONDS),
			],
			{ encoding: "utf8" },
		),
	);
	// What is still in buffers may arrive late: wait until nothing more does.
	let delivered = received(SINK, "s0");
	for (;;) {
		await new Promise((resolve) => setTimeout(resolve, 100));
		const now = received(SINK, "s0");
		if (now === delivered) break;
		delivered = now;
	}
	const cpu = program.cpu() - cpuBefore;
	const { said, complained } = await program.stop();
	const captured =
		subject.command[0] === "tcpdump"
			? Number(/(\d+) packets captured/.exec(complained)?.[1])
			: JSON.parse(said.split("\n").find((line) => line.startsWith("{"))).captured;
	const arrived = Math.min(subject.kind === "capture" ? captured : delivered - before, offered.sent);
	return { subject: subject.name, offered: offered.sent, seconds: offered.seconds, arrived, cpuSeconds: cpu };
}

function spread(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length / 2;
	const median = sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
	return { median, min: sorted[0], max: sorted.at(-1) };
}

function summarise(results, list, rounds) {
	const rows = [64, 1400].flatMap((size) =>
		list.map((subject) => {
			const own = results.filter((one) => one.size === size && one.subject === subject.name);
			const base = list.find((one) => one.kind === subject.kind && one.base).name;
			const perPacket = (one) => (1e9 * one.cpuSeconds) / one.arrived;
			const ratios = own.map((one) => {
				const other = results.find((two) => two.size === size && two.round === one.round && two.subject === base);
				return perPacket(other) / perPacket(one);
			});
			return {
				size,
				kind: subject.kind,
				subject: subject.name,
				pps: spread(own.map((one) => one.arrived / one.seconds)),
				offeredPps: spread(own.map((one) => one.offered / one.seconds)),
				lossPercent: spread(own.map((one) => 100 * (1 - one.arrived / one.offered))),
				cpuNsPerPacket: spread(own.map(perPacket)),
				ratioToBase: spread(ratios),
			};
		}),
	);
	return {
		bench: "engine",
		date: new Date().toISOString(),
		command: "npm run bench -- engine",
		rounds,
		secondsEach: SECONDS,
		flows: 1000,
		machine: { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version },
		rows,
		results,
	};
}

function render(report) {
	const bold = process.stdout.isTTY && !process.env.NO_COLOR ? (text) => `\x1b[1m${text}\x1b[0m` : (text) => text;
	const mpps = (value) => (value / 1e6).toFixed(3);
	const lines = [
		`${report.machine.cpu}, ${report.machine.cores} cores, Linux ${report.machine.kernel}, ${report.machine.node}; ${report.rounds} rounds, ${report.flows} flows`,
	];
	for (const size of [64, 1400]) {
		for (const kind of ["capture", "forward"]) {
			lines.push(
				"",
				bold(
					`${kind}, ${size} bytes`.padEnd(34) +
						"Mpps median (min – max)".padEnd(30) +
						"loss %".padEnd(22) +
						"CPU ns a packet".padEnd(24) +
						"bare one's ÷ own".padEnd(22) +
						"offered",
				),
			);
			for (const row of report.rows.filter((one) => one.size === size && one.kind === kind)) {
				const limit = row.lossPercent.median < 0.1 ? "  (the generator was the limit)" : "";
				lines.push(
					row.subject.padEnd(34) +
						`${mpps(row.pps.median)} (${mpps(row.pps.min)} – ${mpps(row.pps.max)})`.padEnd(30) +
						`${row.lossPercent.median.toFixed(1)} (${row.lossPercent.min.toFixed(1)} – ${row.lossPercent.max.toFixed(1)})`.padEnd(
							22,
						) +
						`${row.cpuNsPerPacket.median.toFixed(0)} (${row.cpuNsPerPacket.min.toFixed(0)} – ${row.cpuNsPerPacket.max.toFixed(0)})`.padEnd(
							24,
						) +
						`${row.ratioToBase.median.toFixed(2)} (${row.ratioToBase.min.toFixed(2)} – ${row.ratioToBase.max.toFixed(2)})`.padEnd(
							22,
						) +
						mpps(row.offeredPps.median) +
						limit,
				);
			}
		}
	}
	return lines.join("\n");
}

function save(report) {
	mkdirSync(join(root, "bench/results"), { recursive: true });
	const file = join(root, "bench/results", `${report.date.slice(0, 10)}-engine.json`);
	writeFileSync(file, `${JSON.stringify(report, null, "\t")}\n`);
	console.log(`\nwritten to ${file.slice(root.length + 1)}`);
}
