// sessions.mjs - `npm run bench -- sessions [--quick] [--json]`: what a session costs, and what it costs to count them.
//
//   table      our session table beside std::unordered_map, and the kernel's nf_conntrack behind a veth
//   tcp        our count of TCP sessions beside an unfiltered dump, /proc/net/tcp and ss
//   link       8 counters of a link by kept descriptors, beside opening the files and reading /proc/net/dev
//
// All in one run, in the order A B … B A, round by round.
//
// Owns: the rounds and the result file. Must never: change a setting of this host's own network namespace.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Conntrack } from "./sessions/conntrack.mjs";
import { links, tcp } from "./sessions/kernel.mjs";
import { render } from "./sessions/render.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const SIZES = [10_000, 1_000_000, 10_000_000];
const SUBJECTS = ["shunt4", "shunt6", "unordered_map"];

export async function run(options) {
	const quick = options.includes("--quick");
	const rounds = quick ? 2 : 7;
	const work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
	const say = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`);
	const kit = { work, rounds, say, turn };
	try {
		build(work);
		const report = {
			bench: "sessions",
			date: new Date().toISOString(),
			command: "npm run bench -- sessions",
			rounds,
			machine: { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version },
			table: table(kit, quick ? SIZES.slice(0, 2) : SIZES),
			conntrack: conntrack(kit, quick ? SIZES.slice(0, 1) : SIZES),
			tcp: await tcp(kit, quick ? [10_000] : [10_000, 90_000]),
			link: await links(kit),
		};
		say("");
		console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(report));
		if (!quick) save(report, options.includes("--json"));
		return 0;
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

/** A B … B A */
function turn(list, round) {
	return round % 2 ? [...list].reverse() : list;
}

function build(work) {
	const native = (...names) => names.map((name) => join(root, "native", `${name}.cc`));
	const flags = ["-O2", "-DNDEBUG", "-Wno-missing-field-initializers", "-fno-strict-aliasing"];
	const cc = (program, sources) =>
		execFileSync(
			"g++",
			[
				"-std=gnu++20",
				...flags,
				"-fno-exceptions",
				"-fno-rtti",
				"-iquote",
				join(root, "native"),
				"-o",
				join(work, program),
				join(here, "sessions", `${program}.cc`),
				...sources,
				"-lpthread",
			],
			{ stdio: "inherit" },
		);
	cc("table", native("engine/sessions", "engine/aging", "engine/tables"));
	cc("ask", native("host/netlink", "host/tcp_sessions", "host/link"));
	execFileSync("gcc", ["-O2", "-o", join(work, "sockets"), join(here, "sessions/sockets.c")], { stdio: "inherit" });
}

function table(kit, sizes) {
	const results = [];
	for (const sessions of sizes)
		for (let round = 0; round < kit.rounds; round++)
			for (const subject of kit.turn(SUBJECTS, round)) {
				kit.say(`table, ${sessions} sessions, round ${round + 1} of ${kit.rounds}: ${subject}`);
				const args = ["-c", "1", join(kit.work, "table"), subject, String(sessions), ...(round === 0 ? ["full"] : [])];
				const one = JSON.parse(execFileSync("taskset", args, { encoding: "utf8" }));
				if (one.counted + one.evicted !== sessions)
					throw new Error(`${subject} holds ${one.counted} of ${sessions} sessions, and evicted ${one.evicted}`);
				results.push({ sessions, round, subject, ...one });
			}
	return results;
}

function conntrack(kit, sizes) {
	const subject = new Conntrack(kit);
	const results = [];
	for (const sessions of sizes) {
		const problem = subject.problem(sessions);
		if (problem !== undefined) {
			results.push({ sessions, problem });
			continue;
		}
		for (let round = 0; round < kit.rounds; round++) {
			kit.say(`nf_conntrack, ${sessions} sessions, round ${round + 1} of ${kit.rounds}`);
			results.push({ sessions, round, ...subject.measure(sessions, round) });
		}
	}
	return results;
}

function save(report, quiet) {
	mkdirSync(join(root, "bench/results"), { recursive: true });
	const file = join(root, "bench/results", `${report.date.slice(0, 10)}-sessions.json`);
	writeFileSync(file, `${JSON.stringify(report, null, "\t")}\n`);
	if (!quiet) console.log(`\nwritten to ${file.slice(root.length + 1)}`);
}
