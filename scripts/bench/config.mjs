// config.mjs - `npm run bench -- config [--quick] [--json] [--rounds N] [--before DIST]`: what a large configuration
// costs the control plane.
//
//   check     `shunt check --json`, the whole process: time, processor time, memory
//   start     file → store → snapshot → tables in force, as a gateway's start does, but for what it asks its host for
//   reload    the same when one service has changed; the event loop's longest block within it, and its longest turn in processor
//             time; the process's memory
//   publish   of that, the part after the file: store → snapshot → tables in force
//
// Each measurement is a process of its own; `--before` interleaves those of another build (A B … B A).
//
// Owns: the files, the rounds and the result. Must never: need root or a network.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { configText } from "./config/file.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
/** Services, backends of each, rules of the first. */
const CASES = [
	{ name: "100 services", services: 100, backends: 50, rules: 0 },
	{ name: "500 services", services: 500, backends: 50, rules: 0 },
	{ name: "2,000 services", services: 2000, backends: 50, rules: 0 },
	{ name: "1,000 rules", services: 1, backends: 50, rules: 1000 },
	{ name: "10,000 rules", services: 1, backends: 50, rules: 10_000 },
	{ name: "100,000 rules", services: 1, backends: 50, rules: 100_000 },
	{ name: "2,000 services, 100,000 rules", services: 2000, backends: 50, rules: 100_000 },
];
const FIGURES = [
	"check_ms",
	"check_cpu_ms",
	"check_rss_mb",
	"start_ms",
	"reload_ms",
	"reload_block_ms",
	"reload_turn_ms",
	"publish_ms",
	"daemon_rss_mb",
];

export async function run(options) {
	const quick = options.includes("--quick");
	const argumentOf = (option) => (options.includes(option) ? options[options.indexOf(option) + 1] : undefined);
	const rounds = quick ? 1 : Number(argumentOf("--rounds") ?? 3);
	const before = argumentOf("--before");
	const builds = { now: join(root, "dist"), ...(before === undefined ? {} : { before: resolve(before) }) };
	const work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
	try {
		const cases = (quick ? CASES.filter((one) => one.services <= 500 && one.rules <= 10_000) : CASES).map((one) => {
			const file = join(work, "cluster.yaml");
			const changed = join(work, "changed.yaml");
			writeFileSync(file, configText(one));
			writeFileSync(changed, configText({ ...one, changed: true }));
			const measured = Object.fromEntries(Object.keys(builds).map((name) => [name, []]));
			for (let round = 0; round < rounds; round++) {
				const order = Object.keys(builds);
				if (round % 2) order.reverse();
				for (const name of order) measured[name].push(measure(builds[name], file, changed));
			}
			return { ...one, ...Object.fromEntries(Object.entries(measured).map(([name, all]) => [name, summary(all)])) };
		});
		const report = {
			bench: "config",
			date: new Date().toISOString(),
			command: "npm run bench -- config",
			rounds,
			machine: {
				cpu: cpus()[0].model,
				cores: cpus().length,
				kernel: release(),
				node: process.version,
				load: loadavg(),
			},
			cases,
		};
		console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(report));
		if (!quick) {
			const folder = join(root, "bench/results");
			mkdirSync(folder, { recursive: true });
			writeFileSync(join(folder, `${report.date.slice(0, 10)}-config.json`), `${JSON.stringify(report, null, "\t")}\n`);
		}
		return 0;
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

function measure(dist, file, changed) {
	const subject = (what) => {
		const result = spawnSync(process.execPath, [join(here, "config/subject.mjs"), what, dist, file, changed], {
			encoding: "utf8",
			maxBuffer: 1 << 26,
		});
		if (result.status !== 0) throw new Error(`${what} of ${dist} failed: ${result.stderr}`);
		return JSON.parse(result.stdout);
	};
	return { ...subject("check"), ...subject("reload") };
}

function summary(rounds) {
	return Object.fromEntries(
		FIGURES.map((figure) => {
			const sorted = rounds.map((one) => one[figure]).sort((a, b) => a - b);
			return [figure, { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) }];
		}),
	);
}

function render({ cases }) {
	const rows = cases.flatMap((one) =>
		["before", "now"]
			.filter((build) => build in one)
			.map((build) => {
				const cells = FIGURES.map((figure) => {
					const { median, min, max } = one[build][figure];
					return `${median} (${min} – ${max})`;
				});
				return `| ${[one.name, build, ...cells].join(" | ")} |`;
			}),
	);
	return [`| ${["case", "build", ...FIGURES].join(" | ")} |`, `|${"---|".repeat(FIGURES.length + 2)}`, ...rows].join(
		"\n",
	);
}
