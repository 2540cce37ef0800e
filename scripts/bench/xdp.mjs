// xdp.mjs - the kernel's program:
//
//   npm run bench -- xdp [--stages] [--quick] [--rounds N] [--json] [--before TREE]
//                        [--katran OBJECT] [--rival NAME=PIN@ADDRESS:PORT [--anew COMMAND]]
//
// BPF_PROG_TEST_RUN over packets of 60 bytes, each of another flow (xdp/wrapper.bpf.c), on one processor, all subjects in one
// run, in the order A B … B A. What the wrapper costs is measured with a program that only says XDP_TX, and taken off. The
// same wrapper then runs with live frames, which leave over a veth whose other end drops them; and at last with the subject
// attached to that other end, in the driver and in the kernel's receive path.
//
// A rival is another project's program that is loaded, set up to serve ADDRESS:PORT, and pinned at PIN: it runs through
// the same cases, and its state is its owner's business: COMMAND, a line for the shell, sets it up anew before each case, so
// that a new session is one in every round.
//
// OBJECT is katran's balancer program as its own project builds it; xdp/katran.c loads it and sets it up anew before each case.
//
// TREE is another build of this repository, such as a git worktree: its program runs through the packet cases, in place of the
// program without the tag, and no frames are sent.
//
// Owns: the cases, the rounds, the result file. Must never: measure a packet that a run before has already encapsulated.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { render } from "./xdp/render.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const SERVICE = "203.0.113.53:53";
const NAMESPACE = `bench-${process.pid}-x`;

/** `first` packets run before the clock does; flows 0: every packet is a new flow. Tables have room for twice the flows. */
const CASES = [
	{
		name: "pass: no service's address",
		to: "203.0.113.99:53",
		flows: 1,
		sessions: 65_536,
		first: 1000,
		count: 1_000_000,
	},
	{ name: "pass: no service's port", to: "203.0.113.53:54", flows: 1, sessions: 65_536, first: 1000, count: 1_000_000 },
	{ name: "hit, 1 flow", flows: 1, sessions: 65_536, first: 1000, count: 1_000_000 },
	{ name: "hit, 64k flows", flows: 65_536, sessions: 131_072, first: 300_000, count: 500_000 },
	{ name: "hit, 512k flows", flows: 524_288, sessions: 1_048_576, first: 1_600_000, count: 500_000 },
	{ name: "new session, the first of a table", flows: 0, sessions: 1_048_576, first: 1000, count: 30_000 },
	{ name: "new session, an empty table", flows: 0, sessions: 1_048_576, first: 1000, count: 300_000 },
	{ name: "new session, a used table", flows: 0, sessions: 1_048_576, first: 600_000, count: 300_000, churn: true },
	{ name: "new session, the table full", flows: 0, sessions: 1_048_576, first: 2_500_000, count: 300_000 },
	{ name: "flood, the table full", flows: 0, sessions: 65_536, first: 300_000, count: 300_000, flood: true },
];
const LIVE = [
	{ name: "live, 1k flows", flows: 1024, sessions: 65_536, first: 4096, count: 1 << 22 },
	{ name: "live, 64k flows", flows: 65_536, sessions: 131_072, first: 300_000, count: 1 << 22 },
];

/** Frames that a bare program sends into a veth whose other end has the subject: what a driver hands over, and what the kernel
 * makes of it for generic XDP. */
const ARRIVING = [
	{ name: "arriving, 1k flows", flows: 1024, sessions: 65_536, first: 4096, count: 1 << 22 },
	{ name: "arriving, 64k flows", flows: 65_536, sessions: 131_072, first: 300_000, count: 1 << 22 },
];

/** With --stages: our program only, in builds that end each packet after a step of native/datapath/program.h. */
const STAGES = [
	[1, "… to 1, link and IP header"],
	[2, "… to 2, is it any of ours"],
	[3, "… to 3, transport and service"],
	[6, "… to 6, session, target, fits"],
];

export async function run(options) {
	const quick = options.includes("--quick");
	const at = options.indexOf("--rounds");
	const rounds = at < 0 ? (quick ? 2 : 7) : Number(options[at + 1]);
	const work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
	const bpffs = join(work, "bpf");
	const kit = { work, bpffs, run: join(work, "run"), wrapper: join(work, "wrapper.o"), quick };
	try {
		build(kit);
		const [x0, x1] = veth(kit);
		const stages = options.includes("--stages");
		const comparing = treeBefore(options) !== undefined;
		const subjects = stages ? stagesOf(kit, x0) : subjectsOf(kit, options, x0);
		const attached = stages ? [] : attachedOf(kit, x1);
		const results = [];
		for (const [kind, cases, all] of [
			["packet", CASES, subjects],
			["live", stages || comparing ? [] : LIVE, subjects],
			["arriving", stages || comparing ? [] : ARRIVING, attached],
		])
			for (const one of cases)
				for (let round = 0; round < rounds; round++)
					for (const subject of round % 2 ? [...all].reverse() : all) {
						if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${one.name}, round ${round + 1}: ${subject.name}`);
						results.push({
							kind,
							case: one.name,
							round,
							subject: subject.name,
							...(await (kind === "arriving" ? arrive : measure)(kit, subject, one, kind)),
						});
					}
		if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
		const report = {
			bench: stages ? "xdp-stages" : "xdp",
			date: new Date().toISOString(),
			command: ["sudo npm run bench -- xdp", ...options].join(" "),
			rounds,
			machine: { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version },
			subjects: [...subjects, ...attached].map(({ name }) => name),
			cases: [...CASES, ...LIVE, ...ARRIVING].map(({ name }) => name),
			results,
		};
		console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(report));
		if (!quick) save(report);
		return 0;
	} finally {
		clean(kit);
	}
}

function build(kit) {
	const sh = (...command) => execFileSync(command[0], command.slice(1), { stdio: ["ignore", "inherit", "inherit"] });
	const multiarch = execFileSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).trim();
	const source = (name) => join(here, "xdp", name);
	sh(
		"clang-16",
		"-O2",
		"-g",
		"-target",
		"bpf",
		"-mcpu=v3",
		"-idirafter",
		`/usr/include/${multiarch}`,
		"-c",
		source("wrapper.bpf.c"),
		"-o",
		kit.wrapper,
	);
	sh("gcc", "-O2", "-o", kit.run, source("run.c"), "-lbpf");
	execFileSync(join(root, "native/kernel/bpf/build"), [join(kit.work, "without-tag")], {
		env: { ...process.env, BPF_EXTRA: "-DSH_WITHOUT_TAG" },
	});
	mkdirSync(kit.bpffs);
	sh("mount", "-t", "bpf", "bpf", kit.bpffs);
}

/** A veth pair in a namespace of its own; both ends drop all packets. Returns their indices. */
function veth(kit) {
	const ip = (...args) => execFileSync("ip", args, { encoding: "utf8" });
	ip("netns", "add", NAMESPACE);
	ip("link", "add", "x0", "netns", NAMESPACE, "type", "veth", "peer", "name", "x1", "netns", NAMESPACE);
	for (const link of ["x0", "x1"]) ip("-n", NAMESPACE, "link", "set", link, "up");
	for (const link of ["x0", "x1"]) xdp(link, "xdp", "object", kit.wrapper, "program", "drop");
	return ["x0", "x1"].map((link) => Number(ip("netns", "exec", NAMESPACE, "cat", `/sys/class/net/${link}/ifindex`)));
}

function xdp(link, ...program) {
	execFileSync("ip", ["netns", "exec", NAMESPACE, "ip", "link", "set", "dev", link, ...program]);
}

function subjectsOf(kit, options, ifindex) {
	const ours = (name, object) => ({
		name,
		to: SERVICE,
		start: (sessions) => startOurs(kit, sessions, ifindex, object),
	});
	const at = options.indexOf("--anew");
	const anew = at < 0 ? undefined : options[at + 1];
	const before = treeBefore(options);
	const theirs = options
		.flatMap((option, i) => (options[i - 1] === "--rival" ? [option] : []))
		.map((text) => {
			const [, name, pin, to] = /^([^=]+)=([^@]+)@(.+)$/.exec(text) ?? [];
			if (name === undefined) throw new Error(`--rival NAME=PIN@ADDRESS:PORT, not ${text}`);
			const start = async () => {
				if (anew !== undefined) execFileSync("sh", ["-c", anew], { stdio: ["ignore", "ignore", "inherit"] });
				return { pin, ask: async () => ({}), stop: async () => {} };
			};
			return { name, to, start };
		});
	const bare = (name, pin) => ({
		name,
		to: SERVICE,
		start: async () => ({ pin, ask: async () => ({}), stop: async () => {} }),
	});
	const katran = argumentOf(options, "--katran");
	if (katran !== undefined) theirs.push(katranOf(kit, katran));
	return [
		bare("XDP_TX, bare", "bare"),
		bare("push 20 bytes, XDP_TX", "push"),
		ours("shunt"),
		...(before === undefined
			? [ours("shunt without the tag", join(kit.work, "without-tag/shunt.bpf.o"))]
			: [{ name: "before", to: SERVICE, start: (sessions) => startOurs(kit, sessions, ifindex, undefined, before) }]),
		...theirs,
	];
}

function argumentOf(options, name) {
	const at = options.indexOf(name);
	return at < 0 ? undefined : options[at + 1];
}

/** Katran's program with a service like ours, set up anew for each case. */
function katranOf(kit, object) {
	const pin = join(kit.bpffs, "katran");
	const load = join(kit.work, "katran");
	execFileSync("gcc", ["-O2", "-o", load, join(here, "xdp/katran.c"), "-lbpf"], { stdio: "inherit" });
	const start = async () => {
		execFileSync(load, [resolve(object), pin, SERVICE, "100", String(1 << 20)], {
			stdio: ["ignore", "ignore", "inherit"],
		});
		return { pin, ask: async () => ({}), stop: async () => rmSync(pin, { force: true }) };
	};
	return { name: "katran", to: SERVICE, start };
}

/** Another build of this repository, to be compared with: a git worktree. */
function treeBefore(options) {
	const at = options.indexOf("--before");
	return at < 0 ? undefined : resolve(options[at + 1]);
}

function stagesOf(kit, ifindex) {
	const ours = (name, object) => ({
		name,
		to: SERVICE,
		start: (sessions) => startOurs(kit, sessions, ifindex, object),
	});
	const nothing = async () => ({ pin: "bare", ask: async () => ({}), stop: async () => {} });
	return [
		{ name: "XDP_TX, bare", to: SERVICE, start: nothing },
		...STAGES.map(([step, name]) => {
			const folder = join(kit.work, `step-${step}`);
			execFileSync(join(root, "native/kernel/bpf/build"), [folder], {
				env: { ...process.env, BPF_EXTRA: `-DSH_END_AFTER=${step}` },
			});
			return ours(name, join(folder, "shunt.bpf.o"));
		}),
		ours("shunt"),
	];
}

function gro(state) {
	execFileSync("ip", ["netns", "exec", NAMESPACE, "ethtool", "-K", "x1", "gro", state]);
}

/** `mode`: as ip(8) names it. */
function attachedOf(kit, ifindex) {
	const bare = ["object", kit.wrapper, "program", "bare_tx"];
	return ["xdpdrv", "xdpgeneric"].flatMap((mode) => {
		const how = mode === "xdpdrv" ? "native" : "generic";
		return [
			{ name: `XDP_TX, bare, ${how}`, mode, start: async () => ({ program: bare, stop: async () => {} }) },
			{
				name: `shunt, ${how}`,
				mode,
				start: async (sessions) => {
					const started = await startOurs(kit, sessions, ifindex);
					return { ...started, program: ["pinned", started.pin] };
				},
			},
		];
	});
}

/** What came through a subject that is attached, of all that was sent to it. */
async function arrive(kit, subject, one) {
	const started = await subject.start(one.sessions);
	const go = (pin, first, count, ...more) => {
		const args = [kit.wrapper, pin, SERVICE, one.flows, first, count, 1, ...more].map(String);
		return JSON.parse(
			execFileSync("ip", ["netns", "exec", NAMESPACE, "chrt", "-f", "10", kit.run, ...args], { encoding: "utf8" }),
		);
	};
	const back = () =>
		Number(
			execFileSync("ip", ["netns", "exec", NAMESPACE, "cat", "/sys/class/net/x0/statistics/rx_packets"], {
				encoding: "utf8",
			}),
		);
	const count = kit.quick ? one.count / 4 : one.count;
	try {
		if (started.pin !== undefined) go(started.pin, 0, one.first);
		xdp("x1", "xdp", "off");
		// Without a program in its driver a veth takes frames only where it polls, as for GRO.
		gro(subject.mode === "xdpgeneric" ? "on" : "off");
		xdp("x1", subject.mode, ...started.program);
		const before = back();
		const { ns } = go("bare", one.first, count, "x0");
		const through = back() - before;
		return { ns: (ns * count) / through, loss: 1 - through / count };
	} finally {
		xdp("x1", subject.mode, "off");
		xdp("x1", "xdp", "object", kit.wrapper, "program", "drop");
		await started.stop();
	}
}

let made = 0;

/** `tree`: whose subject and addon; default this one's. */
async function startOurs(kit, sessions, ifindex, object, tree = root) {
	const pin = join(kit.bpffs, `subject-${++made}`);
	const args = [
		join(tree, "scripts/bench/xdp/subject.mjs"),
		pin,
		String(sessions),
		String(ifindex),
		...(object ? [object] : []),
	];
	const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const next = async () => {
		const { value, done } = await lines.next();
		if (done) throw new Error("the program under test could not be loaded");
		return JSON.parse(value);
	};
	await next();
	return {
		pin,
		ask: () => {
			child.stdin.write("\n");
			return next();
		},
		forget: () => {
			child.stdin.write("forget\n");
			return next();
		},
		stop: async () => {
			child.stdin.end();
			await once(child, "exit");
		},
	};
}

async function measure(kit, subject, one, kind) {
	const started = await subject.start(one.sessions);
	const destination = one.to ?? subject.to;
	const scale = kit.quick && kind === "packet" ? 4 : 1;
	const go = (flows, first, count, live) => {
		const args = [kit.wrapper, started.pin, destination, flows, first, count, 1, ...(live ? ["x0"] : [])].map(String);
		return JSON.parse(
			execFileSync("ip", ["netns", "exec", NAMESPACE, "chrt", "-f", "10", kit.run, ...args], { encoding: "utf8" }),
		);
	};
	try {
		let held;
		if (one.flood && subject.start !== undefined) go(1024, 0, 4096, false); // clients who are there before the flood
		go(one.flows, one.flood ? 1 << 20 : 0, one.first, false);
		if (one.churn) await started.forget?.();
		const result = go(one.flows, one.flood ? 2 << 20 : one.first, Math.round(one.count / scale), kind === "live");
		if (one.flood) {
			const before = (await started.ask()).reasons?.forwarded;
			go(1024, 0, 1024, false);
			const after = (await started.ask()).reasons?.forwarded;
			if (before !== undefined) held = (after - before) / 1024;
		}
		return { ns: result.ns, action: result.action, ...(held === undefined ? {} : { held }) };
	} finally {
		await started.stop();
	}
}

function clean(kit) {
	for (const command of [
		["ip", "netns", "del", NAMESPACE],
		["umount", kit.bpffs],
	])
		try {
			execFileSync(command[0], command.slice(1), { stdio: "ignore" });
		} catch {
			// it was not made
		}
	rmSync(kit.work, { recursive: true, force: true });
}

function save(report) {
	mkdirSync(join(root, "bench/results"), { recursive: true });
	const file = join(root, "bench/results", `${report.date.slice(0, 10)}-${report.bench}.json`);
	writeFileSync(file, `${JSON.stringify(report, null, "\t")}\n`);
	console.log(`\nwritten to ${file.slice(root.length + 1)}`);
}
