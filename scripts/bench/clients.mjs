// clients.mjs - `npm run bench -- clients [--quick] [--json]`: gain and cost of a gateway that gets out of the path.
//
//   gateway    packets that the gateway sees of one client, by the terms of its redirection
//   latency    one exchange over UDP: straight to the backend, by a lease, by the gateway, by nftables' DNAT, by nginx's stream
//              module, under the host agent, and the first of a lease; one over TCP: straight, by the gateway, by both rivals, by MPTCP
//   goodput    three backends behind one gateway, every link shaped alike: what three uploads reach together, by the same paths
//   failure    how long no answer comes when a backend dies in silence, or its program stops and the kernel says so
//
// Everything is real: a lab of namespaces (scripts/lab), the daemons, dnsmasq as the service, a program with the client library.
// Latencies are taken round by round, in the order A B … B A. A part that fails is reported, and the other parts are written.
//
// Owns: its lab, and the result file. Must never: leave either half done.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { goodput } from "./clients/goodput.mjs";
import { render } from "./clients/render.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const cli = join(root, "dist/cli/main.js");
const VIP = "203.0.113.53";
const DNAT = "203.0.113.99";
const NGINX = "203.0.113.98";
/** Services over TCP: for iperf3 with leases and with MPTCP, and one that echoes, with MPTCP. */
const UPLOADS = "203.0.113.60";
const MPTCP = "203.0.113.62";
const ECHO_PORT = 5221;
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
	const report = {
		bench: "clients",
		date: new Date().toISOString(),
		command: "npm run bench -- clients",
		machine: { cpu: cpus()[0].model, cores: cpus().length, kernel: release(), node: process.version },
		engine: bench.engine,
		errors: [],
	};
	try {
		await bench.up();
		for (const part of ["gateway", "latency", "latencyTcp", "goodput", "failure"]) {
			try {
				report[part] = await bench[part]();
			} catch (error) {
				report.errors.push({ part, why: String(error.stderr ?? "").trim() || error.message });
			}
		}
	} finally {
		await bench.down();
	}
	bench.say("");
	const file = quick ? undefined : save(report);
	console.log(options.includes("--json") ? JSON.stringify(report, null, "\t") : render(report));
	if (file !== undefined && !options.includes("--json")) console.log(`\nwritten to ${file}`);
	return report.errors.length === 0 ? 0 : 1;
}

class Bench {
	constructor(quick) {
		this.quick = quick;
		this.work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
		this.prefix = `bench${process.pid}`;
		this.daemons = new Map();
		this.engine = "native";
		this.backends = BACKENDS;
		this.programs = [];
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

	namespace(host) {
		return `${this.prefix}-${host}`;
	}

	inside(host, ...command) {
		return execFileSync("ip", ["netns", "exec", this.namespace(host), ...command], {
			encoding: "utf8",
			stdio: ["ignore", "pipe", "pipe"],
		});
	}

	insideMayFail(host, ...command) {
		try {
			this.inside(host, ...command);
		} catch {
			// It was not there.
		}
	}

	/** A program that runs until down(). */
	start(host, command) {
		const args = ["netns", "exec", this.namespace(host), ...command];
		const child = spawn("ip", args, { stdio: ["ignore", "pipe", "pipe"] });
		this.programs.push(child);
		let said = "";
		for (const stream of [child.stdout, child.stderr])
			stream.on("data", (text) => {
				said += text;
			});
		const says = async (pattern) => {
			for (let tries = 0; !pattern.test(said); tries++) {
				if (tries === 400 || child.exitCode !== null)
					throw new Error(`${command.join(" ")} on ${host} does not start: ${said}`);
				await new Promise((resolve) => setTimeout(resolve, 50));
			}
		};
		return { child, says };
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
		this.inside("client", "ip", "mptcp", "limits", "set", "subflow", "4", "add_addr_accepted", "4");
		for (const host of BACKENDS)
			await this.start(host, [
				...["mptcpize", "run", process.execPath, join(here, "clients/echo.mjs"), String(ECHO_PORT)],
			]).says(/ready/);
		this.rivals();
	}

	/** Rivals on the gateway's host: destination NAT, and back, by connection tracking; nginx as a proxy of UDP and TCP. */
	rivals() {
		const addresses = ["10.77.11.2", "10.77.12.2", "10.77.13.2"];
		const tcp = [...addresses.map((address, i) => [5211 + i, address]), [ECHO_PORT, B1]];
		this.inside("gateway", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
		const rules = [
			"add table ip rival",
			"add chain ip rival in { type nat hook prerouting priority dstnat; }",
			"add chain ip rival out { type nat hook postrouting priority srcnat; }",
			`add rule ip rival in ip daddr ${DNAT} udp dport 53 dnat to ${B1}`,
			`add rule ip rival out ip daddr ${B1} udp dport 53 masquerade`,
			...tcp.map(([port, address]) => `add rule ip rival in ip daddr ${DNAT} tcp dport ${port} dnat to ${address}`),
			`add rule ip rival out ip daddr 10.77.0.0/16 ct status dnat masquerade`,
		];
		this.inside("gateway", "nft", rules.join("; "));
		this.inside("gateway", "ip", "address", "add", `${NGINX}/32`, "dev", "lo");
		const proxies = tcp.map(([port, address]) => `server { listen ${NGINX}:${port}; proxy_pass ${address}:${port}; }`);
		const file = join(this.work, "nginx.conf");
		writeFileSync(
			file,
			`load_module /usr/lib/nginx/modules/ngx_stream_module.so;
			user root; worker_processes 1; pid ${this.work}/nginx.pid; error_log stderr;
			events { worker_connections 8192; }
			stream {
				tcp_nodelay on;
				server { listen ${NGINX}:53 udp; proxy_pass ${B1}:53; proxy_responses 1; }
				${proxies.join("\n")}
			}`,
		);
		this.start("gateway", ["nginx", "-c", file, "-g", "daemon off;"]);
	}

	/** One service, three backends; the client is always given b1 first. Beside it, services over TCP. */
	configure(terms) {
		const lease = TERMS["lease 60 s"];
		const more = BACKENDS.map((name, i) => {
			const to = `port: ${5211 + i}, protocol: tcp, backends: [${name}]`;
			return `
  up${i}: { address: ${UPLOADS}, ${to}, redirect: ${lease} }
  mptcp${i}: { address: ${MPTCP}, ${to}, redirect: { mptcp: true } }`;
		});
		const echo = `  echo: { address: ${MPTCP}, port: ${ECHO_PORT}, protocol: tcp, backends: [b1], redirect: { mptcp: true } }`;
		const text = readFileSync(join(root, "examples/lab.yaml"), "utf8")
			.replace("\nservices:\n", `\nengine: { mode: ${this.engine} }\nservices:${more.join("")}\n${echo}\n`)
			.replace(/ {4}backends: \[b1, b2, b3\] # .*/, `${terms === undefined ? "" : `    redirect: ${terms}\n`}$&`);
		writeFileSync(join(this.work, "shunt.yaml"), text);
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
			"nginx stream": { mode: "plain", service: NGINX },
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

	/** One connection, on which a question follows the answer. MPTCP's second subflow opens while it warms up. */
	async latencyTcp() {
		const rounds = this.quick ? 2 : 8;
		const count = this.quick ? 300 : 2000;
		const subjects = {
			direct: { service: B1 },
			gateway: { service: MPTCP },
			"nftables DNAT": { service: DNAT },
			"nginx stream": { service: NGINX },
			MPTCP: { service: MPTCP, mptcp: true },
		};
		const results = [];
		for (let round = 0; round < rounds; round++) {
			const order = Object.entries(subjects);
			for (const [subject, { service, mptcp }] of round % 2 ? order.reverse() : order) {
				this.say(`latency over TCP, round ${round + 1} of ${rounds}: ${subject}`);
				const ask = { service, port: ECHO_PORT, from: "198.51.100.9", count, warm: 200, warmMs: 500 };
				const program = [process.execPath, join(here, "clients/exchange-tcp.mjs"), JSON.stringify(ask)];
				const said = this.inside("client", ...(mptcp ? ["mptcpize", "run"] : []), ...program);
				results.push({ round, subject, ...JSON.parse(said) });
			}
		}
		return results;
	}

	goodput() {
		this.reload(TERMS["lease 60 s"]);
		return goodput(this, { plain: UPLOADS, dnat: DNAT, nginx: NGINX, mptcp: MPTCP });
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
		for (const child of this.programs) child.kill("SIGTERM");
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

/** The file's name, from the repository on. */
function save(report) {
	mkdirSync(join(root, "bench/results"), { recursive: true });
	const file = join("bench/results", `${report.date.slice(0, 10)}-clients.json`);
	writeFileSync(join(root, file), `${JSON.stringify(report, null, "\t")}\n`);
	return file;
}
