// clients.mjs - `npm run bench -- clients [--quick] [--json]`: gain and cost of a gateway that gets out of the path.
//
//   gateway    packets that the gateway sees of one client, by the terms of its redirection
//   latency    one exchange: straight to the backend, by a lease, by the gateway, by nftables' DNAT, and the first of a lease
//   goodput    three backends behind one gateway, every link shaped alike: what three uploads reach together, by the gateway, by nftables'
//              DNAT, and under the host agent
//   failure    how long no answer comes when a backend dies in silence, or its program stops and the kernel says so
//
// Everything is real: a lab of namespaces (scripts/lab), the daemons, dnsmasq as the service, a program with the client library.
// Latencies are taken round by round, in the order A B … B A.
//
// Owns: its lab, and the result file. Must never: leave either half done.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const cli = join(root, "dist/cli/main.js");
const VIP = "203.0.113.53";
const DNAT = "203.0.113.99";
const B1 = "10.77.11.2";
const BACKENDS = ["b1", "b2", "b3"];
const TARGETS = { targets: ["10.77.0.0/16"] };
const TERMS = {
	plain: undefined,
	once: "{ clients: true, term: once }",
	"lease 10 s": "{ clients: true, term: leased, lease: 10s }",
	"lease 60 s": "{ clients: true, term: leased, lease: 60s }",
	permanent: "{ clients: true, term: permanent }",
};

export async function run(options) {
	const quick = options.includes("--quick");
	const bench = new Bench(quick);
	try {
		await bench.up();
		const report = {
			bench: "clients",
			date: new Date().toISOString(),
			command: "npm run bench -- clients",
			machine: { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version },
			engine: bench.engine,
			gateway: await bench.gateway(),
			latency: await bench.latency(),
			goodput: await bench.goodput(),
			failure: await bench.failure(),
		};
		bench.say("");
		console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(report));
		if (!quick) save(report, options.includes("--json"));
		return 0;
	} finally {
		await bench.down();
	}
}

class Bench {
	constructor(quick) {
		this.quick = quick;
		this.work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
		this.prefix = `bench${process.pid}`;
		this.daemons = new Map();
		this.engine = "native";
		/** By backend: direct packets at the last call of direct(). */
		this.before = {};
	}

	say = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`);

	lab(...args) {
		return execFileSync(join(root, "scripts/lab"), args, {
			encoding: "utf8",
			env: { ...process.env, SHUNT_LAB: this.prefix },
		});
	}

	inside(host, ...command) {
		return execFileSync("ip", ["netns", "exec", `${this.prefix}-${host}`, ...command], {
			encoding: "utf8",
			stdio: ["ignore", "pipe", "pipe"],
		});
	}

	async up() {
		this.say("the lab");
		this.lab("up");
		this.lab("services", "up");
		this.configure(TERMS.plain);
		for (const [host, role, name] of [
			["b1", "backend", "b1"],
			["b2", "backend", "b2"],
			["b3", "backend", "b3"],
			["gateway", "gateway", "g1"],
		]) {
			const socket = join(this.work, `${host}.sock`);
			const args = [
				"netns",
				"exec",
				`${this.prefix}-${host}`,
				process.execPath,
				cli,
				role,
				"--config",
				join(this.work, "shunt.yaml"),
				"--name",
				name,
				"--socket",
				socket,
				"--json",
			];
			const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
			this.daemons.set(host, { child, socket });
			await new Promise((resolve, reject) => {
				child.stdout.on("data", (text) => String(text).includes('"event":"ready"') && resolve(undefined));
				child.once("exit", (status) => reject(new Error(`${host}'s daemon ended: ${status}`)));
			});
		}
		// A rival on the same host: destination NAT, and back, by connection tracking.
		this.inside("gateway", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
		this.inside(
			"gateway",
			"nft",
			`add table ip rival; add chain ip rival in { type nat hook prerouting priority dstnat; }; add rule ip rival in ip daddr ${DNAT} udp dport 53 dnat to ${B1}; add chain ip rival out { type nat hook postrouting priority srcnat; }; add rule ip rival out ip daddr ${B1} udp dport 53 masquerade`,
		);
	}

	/** One service, three backends; the client is always given b1 first. */
	configure(terms, more = "") {
		const text = readFileSync(join(root, "examples/lab.yaml"), "utf8")
			.replace("\nservices:\n", `\nengine: { mode: ${this.engine} }\nservices:\n`)
			.replace(/ {4}backends: \[b1, b2, b3\] # .*/, `${terms === undefined ? "" : `    redirect: ${terms}\n`}$&`);
		writeFileSync(join(this.work, "shunt.yaml"), `${text}${more}`);
	}

	reload(terms) {
		this.configure(terms);
		execFileSync(process.execPath, [cli, "reload", "--socket", this.daemons.get("gateway").socket]);
	}

	/** Packets that the gateway has taken for services. */
	seen() {
		const text = execFileSync(
			process.execPath,
			[cli, "status", "--json", "--socket", this.daemons.get("gateway").socket],
			{ encoding: "utf8" },
		);
		const ours = JSON.parse(text).reasons.filter(({ verdict }) => verdict !== "pass");
		return ours.reduce((sum, { packets }) => sum + packets, 0);
	}

	client(ask) {
		const args = [
			"netns",
			"exec",
			`${this.prefix}-client`,
			process.execPath,
			join(here, "clients/exchange.mjs"),
			JSON.stringify({ port: 53, service: VIP, from: "198.51.100.9", mode: "shunt", redirection: TARGETS, ...ask }),
		];
		const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
		let said = "";
		child.stdout.on("data", (text) => {
			said += text;
		});
		return new Promise((resolve, reject) =>
			child.once("close", () => (said ? resolve(JSON.parse(said)) : reject(new Error("the client said nothing")))),
		);
	}

	async gateway() {
		const results = [];
		const seconds = this.quick ? 2 : 25;
		for (const [terms, text] of Object.entries(TERMS)) {
			this.say(`gateway, ${terms}`);
			this.reload(text);
			const before = this.seen();
			const one = await this.client({ seconds, gapMs: 1, ...(text === undefined ? { mode: "plain" } : {}) });
			const packets = this.seen() - before;
			results.push({
				terms,
				seconds,
				answers: one.answers,
				gatewayPackets: packets,
				offload: 1 - packets / one.answers,
			});
		}
		return results;
	}

	async latency() {
		const rounds = this.quick ? 2 : 8;
		const count = this.quick ? 300 : 2000;
		this.reload(TERMS["lease 60 s"]);
		const subjects = {
			direct: { mode: "plain", service: B1 },
			lease: {},
			gateway: { mode: "plain" },
			"nftables DNAT": { mode: "plain", service: DNAT },
			"under the agent": { mode: "plain", agent: true },
		};
		const results = [];
		for (let round = 0; round < rounds; round++) {
			const order = Object.entries(subjects);
			for (const [subject, ask] of round % 2 ? order.reverse() : order) {
				this.say(`latency, round ${round + 1} of ${rounds}: ${subject}`);
				const { agent, ...rest } = ask;
				const under = agent ? await this.agent([`udp/${VIP}:53`], "198.51.100.9") : undefined;
				const { p50Ms, p99Ms, lost } = await this.client({ count, warm: 200, ...rest });
				if (under) await this.end(under.child);
				results.push({ round, subject, p50Ms, p99Ms, lost });
			}
			const first = await this.client({ count: 1 });
			results.push({ round, subject: "cold: the first of a lease", p50Ms: first.p50Ms, p99Ms: null, lost: first.lost });
		}
		return results;
	}

	/** Applications of the client under the host agent. */
	async agent(services, source) {
		const args = [
			"netns",
			"exec",
			`${this.prefix}-client`,
			process.execPath,
			cli,
			"client",
			"--json",
			"-i",
			"eth0",
			"--source",
			source,
		];
		const child = spawn("ip", [...args, "--target-prefix", "10.77.0.0/16", "--service", ...services], {
			stdio: ["ignore", "pipe", "inherit"],
		});
		const agent = { child, output: "" };
		await new Promise((resolve, reject) => {
			child.stdout.on("data", (text) => {
				agent.output += text;
				if (agent.output.includes('"event":"ready"')) resolve(undefined);
			});
			child.once("exit", (status) => reject(new Error(`the agent ended: ${status}`)));
		});
		return agent;
	}

	end(child) {
		return new Promise((resolve) => {
			child.removeAllListeners("exit");
			child.once("exit", resolve);
			child.kill("SIGTERM");
		});
	}

	async goodput() {
		const mbit = 20;
		const rounds = this.quick ? 1 : 3;
		const shaped = ["gateway", ...BACKENDS];
		for (const port of shaped)
			this.inside(
				"router",
				"tc",
				"qdisc",
				"add",
				"dev",
				port,
				"root",
				"tbf",
				"rate",
				`${mbit}mbit`,
				"burst",
				"32kb",
				"latency",
				"50ms",
			);
		const results = [];
		try {
			const servers = BACKENDS.map((host, i) =>
				spawn("ip", ["netns", "exec", `${this.prefix}-${host}`, "iperf3", "--server", "--port", String(5211 + i)], {
					stdio: "ignore",
				}),
			);
			this.configure(
				TERMS["lease 60 s"],
				`  up1: { address: 203.0.113.60, port: 5211, protocol: tcp, backends: [b1], redirect: ${TERMS["lease 60 s"]} }\n  up2: { address: 203.0.113.60, port: 5212, protocol: tcp, backends: [b2], redirect: ${TERMS["lease 60 s"]} }\n  up3: { address: 203.0.113.60, port: 5213, protocol: tcp, backends: [b3], redirect: ${TERMS["lease 60 s"]} }\n`,
			);
			for (const { socket } of this.daemons.values())
				execFileSync(process.execPath, [cli, "reload", "--socket", socket]);
			this.inside(
				"gateway",
				"nft",
				`flush chain ip rival in; flush chain ip rival out; add rule ip rival out ip daddr 10.77.0.0/16 tcp dport 5211-5213 masquerade`,
			);
			for (const [i, address] of ["10.77.11.2", "10.77.12.2", "10.77.13.2"].entries())
				this.inside("gateway", "nft", `add rule ip rival in ip daddr ${DNAT} tcp dport ${5211 + i} dnat to ${address}`);
			const upload = (address) =>
				Promise.all(
					BACKENDS.map(
						(_, i) =>
							new Promise((resolve, reject) => {
								const child = spawn(
									"ip",
									[
										"netns",
										"exec",
										`${this.prefix}-client`,
										"iperf3",
										"--client",
										address,
										"--port",
										String(5211 + i),
										"--time",
										this.quick ? "3" : "8",
										"--json",
									],
									{ stdio: ["ignore", "pipe", "inherit"] },
								);
								let said = "";
								child.stdout.on("data", (text) => {
									said += text;
								});
								child.once("close", () => {
									const end = JSON.parse(said).end?.sum_received;
									if (end === undefined) reject(new Error(`iperf3: ${said}`));
									else resolve(end.bits_per_second / 1e6);
								});
							}),
					),
				).then((all) => all.reduce((sum, one) => sum + one, 0));
			for (let round = 0; round < rounds; round++) {
				this.say(`goodput, round ${round + 1} of ${rounds}`);
				results.push({ round, way: "gateway", linkMbit: mbit, mbit: await upload("203.0.113.60") });
				results.push({ round, way: "nftables DNAT", linkMbit: mbit, mbit: await upload(DNAT) });
				const under = await this.agent(
					[1, 2, 3].map((i) => `tcp/203.0.113.60:521${i}`),
					"198.51.100.7",
				);
				// The first connection goes by the gateway, and brings the lease.
				for (let i = 0; i < 3; i++)
					this.inside("client", "iperf3", "--client", "203.0.113.60", "--port", String(5211 + i), "--time", "1");
				const redirects = () => under.output.split('"event":"redirect"').length - 1;
				for (let tries = 0; redirects() < 3 && tries < 100; tries++)
					await new Promise((resolve) => setTimeout(resolve, 50));
				results.push({ round, way: "under the agent", linkMbit: mbit, mbit: await upload("203.0.113.60") });
				await this.end(under.child);
			}
			for (const server of servers) server.kill("SIGTERM");
		} finally {
			for (const port of shaped) this.inside("router", "tc", "qdisc", "del", "dev", port, "root");
			this.configure(TERMS["lease 60 s"]);
			for (const { socket } of this.daemons.values())
				execFileSync(process.execPath, [cli, "reload", "--socket", socket]);
		}
		return results;
	}

	async failure() {
		const results = [];
		const rounds = this.quick ? 1 : 7;
		this.reload(TERMS["lease 60 s"]);
		for (let round = 0; round < rounds; round++)
			for (const kind of ["silent death", "its program has stopped"]) {
				this.say(`failure, round ${round + 1} of ${rounds}: ${kind}`);
				for (const host of BACKENDS) this.direct(host);
				const running = this.client({ seconds: 4, gapMs: 2 });
				await new Promise((resolve) => setTimeout(resolve, 1500));
				const grown = BACKENDS.map((host) => ({ count: this.direct(host), host })).sort((a, b) => b.count - a.count);
				const { count, host } = grown[0];
				if (count < 100) throw new Error("the client has not left the gateway");
				if (kind === "silent death") {
					// Nothing reaches it any more, neither straight nor by the gateway.
					this.inside(
						"router",
						"nft",
						`add table inet dead; add chain inet dead f { type filter hook forward priority 0; }; add rule inet dead f oifname ${host} drop`,
					);
				} else {
					const pid = readFileSync(`/run/shunt-lab/${this.prefix}/pids/dnsmasq.${host}`, "utf8").split(" ")[0];
					process.kill(Number(pid), "SIGKILL");
				}
				const { longestGapMs, events } = await running;
				if (kind === "silent death") this.inside("router", "nft", "delete table inet dead");
				else this.lab("services", "up");
				results.push({
					round,
					kind,
					longestGapMs,
					failovers: events.filter(({ event }) => event === "failover").length,
				});
			}
		return results;
	}

	/** Datagrams that came straight to this backend. */
	direct(host) {
		const text = execFileSync(process.execPath, [cli, "status", "--json", "--socket", this.daemons.get(host).socket], {
			encoding: "utf8",
		});
		const now = JSON.parse(text).reasons.find(({ reason }) => reason === "direct")?.packets ?? 0;
		const grown = now - (this.before[host] ?? 0);
		this.before[host] = now;
		return grown;
	}

	async down() {
		for (const { child } of this.daemons.values()) child.kill("SIGTERM");
		await Promise.all(
			[...this.daemons.values()].map(
				({ child }) => child.exitCode ?? new Promise((resolve) => child.once("exit", resolve)),
			),
		);
		try {
			this.lab("down");
		} finally {
			rmSync(this.work, { recursive: true, force: true });
		}
	}
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
const ms = (value) => (value === null || Number.isNaN(value) ? "" : `${value.toFixed(3)}`);

function render(report) {
	const lines = ["| terms | answers | packets at the gateway | offloaded |", "|---|---|---|---|"];
	for (const { terms, answers, gatewayPackets, offload } of report.gateway)
		lines.push(`| ${terms} | ${answers} | ${gatewayPackets} | ${(100 * offload).toFixed(2)} % |`);
	lines.push("", "| way | p50, ms | p99, ms | p50 ÷ direct | lost |", "|---|---|---|---|---|");
	const of = (subject) => report.latency.filter((one) => one.subject === subject);
	const rounds = of("direct");
	for (const subject of [...new Set(report.latency.map((one) => one.subject))]) {
		const ratios = of(subject).map(({ round, p50Ms }) => p50Ms / rounds.find((one) => one.round === round).p50Ms);
		const p99 = subject.startsWith("cold") ? Number.NaN : median(of(subject).map(({ p99Ms }) => p99Ms));
		const span = `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)})`;
		lines.push(
			`| ${subject} | ${ms(median(of(subject).map(({ p50Ms }) => p50Ms)))} | ${ms(p99)} | ${span} | ${of(subject).reduce((sum, { lost }) => sum + lost, 0)} |`,
		);
	}
	lines.push("", "| three uploads, every link of 20 Mbit/s | Mbit/s together | ÷ one link |", "|---|---|---|");
	for (const way of [...new Set(report.goodput.map((one) => one.way))]) {
		const all = report.goodput.filter((one) => one.way === way);
		const speed = median(all.map(({ mbit }) => mbit));
		lines.push(`| ${way} | ${speed.toFixed(1)} | ${(speed / all[0].linkMbit).toFixed(2)} |`);
	}
	lines.push("", "| failure | longest time without an answer, ms: median (least – most) |", "|---|---|");
	for (const kind of [...new Set(report.failure.map((one) => one.kind))]) {
		const gaps = report.failure.filter((one) => one.kind === kind).map(({ longestGapMs }) => longestGapMs);
		lines.push(
			`| ${kind} | ${median(gaps).toFixed(0)} (${Math.min(...gaps).toFixed(0)} – ${Math.max(...gaps).toFixed(0)}) |`,
		);
	}
	return lines.join("\n");
}

function save(report, quiet) {
	mkdirSync(join(root, "bench/results"), { recursive: true });
	const file = join(root, "bench/results", `${report.date.slice(0, 10)}-clients.json`);
	writeFileSync(file, `${JSON.stringify(report, null, "\t")}\n`);
	if (!quiet) console.log(`\nwritten to ${file.slice(root.length + 1)}`);
}
