// agent.mjs - `npm run bench -- agent [--quick] [--rounds N] [--json]`: what the host agent's programs cost a packet.
//
// BPF_PROG_TEST_RUN of both tc programs over IPv4 packets of 80 bytes on one processor, in the order A B … B A, beside an
// empty tc program (agent/wrapper.bpf.c, agent/run.c, which has the cases). What the wrapper and the empty program cost is
// taken off.
//
// Owns: the build, the table, the result file. Must never: attach a program.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { spread } from "./xdp/render.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");

export async function run(options) {
	const quick = options.includes("--quick");
	const at = options.indexOf("--rounds");
	const rounds = at < 0 ? (quick ? 3 : 9) : Number(options[at + 1]);
	const work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
	try {
		build(work);
		// biome-ignore format: one argument per line would hide the command
		const output = execFileSync(join(work, "run"), [
			join(work, "wrapper.o"), join(work, "agent.bpf.o"), String(rounds), quick ? "200000" : "1000000", String(cpus().length - 1),
		], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
		const report = {
			bench: "agent",
			date: new Date().toISOString(),
			command: ["sudo npm run bench -- agent", ...options].join(" "),
			rounds,
			machine: { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version },
			results: output
				.trim()
				.split("\n")
				.map((line) => JSON.parse(line)),
		};
		console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(report));
		if (!quick) save(report);
		return 0;
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

function build(work) {
	const multiarch = execFileSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).trim();
	// biome-ignore format: one argument per line would hide the command
	execFileSync("clang-16", [
		"-O2", "-g", "-target", "bpf", "-mcpu=v3", "-idirafter", `/usr/include/${multiarch}`,
		"-c", join(here, "agent/wrapper.bpf.c"), "-o", join(work, "wrapper.o"),
	], { stdio: ["ignore", "inherit", "inherit"] });
	// biome-ignore format: one argument per line would hide the command
	execFileSync("gcc", [
		"-O2", "-iquote", join(root, "native"), "-I", join(root, "native"), "-o", join(work, "run"), join(here, "agent/run.c"), "-lbpf",
	], { stdio: ["ignore", "inherit", "inherit"] });
	execFileSync(join(root, "native/kernel/bpf/build"), [work]);
}

function render({ machine, rounds, results }) {
	const text = ({ median, min, max }, digits) =>
		`${median.toFixed(digits)} (${min.toFixed(digits)} – ${max.toFixed(digits)})`;
	const lines = [
		`${machine.cpu}, Linux ${machine.kernel}; ${rounds} rounds, one processor`,
		"",
		"| packet | ns, net | ÷ an empty program |",
		"|---|---|---|",
	];
	for (const name of [...new Set(results.map((one) => one.case))].sort()) {
		const rows = results.filter((one) => one.case === name);
		const net = spread(rows.map(({ ns, empty }) => ns - empty));
		lines.push(`| ${name} | ${text(net, 0)} | ${text(spread(rows.map(({ ns, empty }) => ns / empty)), 2)} |`);
	}
	return lines.join("\n");
}

function save(report) {
	mkdirSync(join(root, "bench/results"), { recursive: true });
	const file = join(root, "bench/results", `${report.date.slice(0, 10)}-agent.json`);
	writeFileSync(file, `${JSON.stringify(report, null, "\t")}\n`);
	console.log(`\nwritten to ${file.slice(root.length + 1)}`);
}
