// firewall.test.ts - the firewall in a real network namespace: what it drops, what it passes, and that it ends with its daemon.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { backendRules } from "../../src/backend/firewall-rules.js";
import { replyRules } from "../../src/backend/reply-rules.js";
import { parseConfig } from "../../src/config/index.js";
import { directEndpoints, snapshotOfConfig } from "../../src/database/index.js";
import { gatewayRules } from "../../src/gateway/firewall-rules.js";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../..");
const SERVER = `hosttest-s-${process.pid}`;
const CLIENT = `hosttest-c-${process.pid}`;
const VIP = "203.0.113.53";

const OWN = "10.9.0.1";
/** First bytes of a control datagram. */
const CONTROL = "ff53484e15000000";

const SERVICES = (fields: string) =>
	parseConfig(
		`
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }
backends: { b: { address: [${OWN}, "fd77::1"] } }
services:
  s: { address: [${VIP}, "2001:db8::53"], port: 53, protocol: [udp, tcp], backends: [b], ${fields} }
  t: { address: ${VIP}, port: 54, protocol: tcp, backends: [b] }`,
		"inline.yaml",
	);

const RULES = (port: number, elements = [`${VIP} . udp . ${port}`]) => ({
	sets: [{ name: "services4", type: "ipv4_addr . inet_proto . inet_service", elements }],
	chains: [
		{
			name: "engine_input",
			hook: "prerouting priority raw",
			rules: ['iifname { "eth0" } ip daddr . meta l4proto . th dport @services4 counter drop'],
		},
	],
});

/** A process in the server's namespace that holds a firewall, and the lines that it prints. */
class Holder {
	readonly process: ChildProcess;
	readonly said: string[] = [];

	constructor(folder: string, rules: readonly object[], env: Record<string, string> = {}) {
		const args = rules.map((one) => JSON.stringify(one));
		const holder = join(here, "firewall-holder.mjs");
		this.process = spawn("ip", ["netns", "exec", SERVER, process.execPath, holder, folder, ...args], {
			stdio: ["pipe", "pipe", "inherit"],
			env: { ...process.env, ...env },
		});
		this.process.stdout!.on("data", (text) => this.said.push(...String(text).trim().split("\n")));
	}

	next(): void {
		this.process.stdin!.write("next\n");
	}

	async says(what: string): Promise<string> {
		return await until(() => this.said.find((line) => line.startsWith(what)));
	}

	async end(): Promise<void> {
		if (this.process.exitCode !== null || this.process.signalCode !== null) return;
		const ended = new Promise((resolve) => this.process.once("exit", resolve));
		this.process.stdin!.end();
		await ended;
	}
}

async function until<T>(look: () => T | Promise<T>): Promise<NonNullable<T>> {
	const end = Date.now() + 10_000;
	for (;;) {
		const found = await look();
		if (found) return found as NonNullable<T>;
		if (Date.now() > end) throw new Error(`timed out waiting for ${look}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

const inside = (namespace: string, ...command: string[]) => run("ip", ["netns", "exec", namespace, ...command]);
const ruleset = async () => (await inside(SERVER, "nft", "list", "ruleset")).stdout;

/** Sends one datagram from the client: answered, refused by an ICMP error, or silent. */
async function ask(port: number, address = VIP, hex = "78"): Promise<"answered" | "refused" | "silent"> {
	const program = `
		const s = require("node:dgram").createSocket("udp4");
		const end = (what) => { console.log(what); process.exit(0); };
		s.on("message", () => end("answered")).on("error", () => end("refused"));
		s.connect(${port}, "${address}", () => s.send(Buffer.from("${hex}", "hex")));
		setTimeout(() => end("silent"), 400);`;
	return (await inside(CLIENT, process.execPath, "-e", program)).stdout.trim() as "answered";
}

describe.skipIf(process.getuid?.() !== 0)("the firewall", { timeout: 60_000 }, () => {
	let folder: string;
	let echo: ChildProcess;
	let holder: Holder | undefined;

	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "shunt-firewall-"));
		writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
		const options = [
			"--rootDir",
			"src",
			"--module",
			"nodenext",
			"--target",
			"es2023",
			"--types",
			"node",
			"--skipLibCheck",
		];
		await run(
			join(root, "node_modules/.bin/tsc"),
			[...options, "--ignoreConfig", "--outDir", folder, "src/host/firewall.ts"],
			{ cwd: root },
		);
		for (const name of [SERVER, CLIENT]) await run("ip", ["netns", "add", name]);
		await run("ip", ["-n", SERVER, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", CLIENT]);
		for (const [name, address] of [
			[SERVER, "10.9.0.1/24"],
			[CLIENT, "10.9.0.2/24"],
		] as const) {
			await run("ip", ["-n", name, "link", "set", "lo", "up"]);
			await run("ip", ["-n", name, "link", "set", "eth0", "up"]);
			await run("ip", ["-n", name, "address", "add", address, "dev", "eth0"]);
		}
		await run("ip", ["-n", SERVER, "address", "add", `${VIP}/32`, "dev", "lo"]);
		await inside(SERVER, "sysctl", "-q", "net.ipv4.icmp_ratelimit=0"); // the test counts its ICMP errors
		await run("ip", ["-n", CLIENT, "route", "add", `${VIP}/32`, "via", "10.9.0.1"]);
		const program = `
			const s = require("node:dgram").createSocket("udp4");
			s.on("message", (m, from) => s.send(m, from.port, from.address)).bind(53, "${VIP}", () => console.log("up"));`;
		echo = spawn("ip", ["netns", "exec", SERVER, process.execPath, "-e", program], {
			stdio: ["ignore", "pipe", "inherit"],
		});
		await new Promise((resolve) => echo.stdout!.once("data", resolve));
		expect(await ask(53)).toBe("answered");
	}, 60_000);

	afterEach(async () => {
		await holder?.end();
		holder = undefined;
		await until(async () => !(await ruleset()).includes("hosttest"));
	});

	afterAll(async () => {
		echo?.kill();
		for (const name of [SERVER, CLIENT]) await run("ip", ["netns", "del", name]).catch(() => {});
		if (folder) rmSync(folder, { recursive: true, force: true });
	});

	test("R1: the kernel neither answers nor refuses what the engine takes, and handles all other packets as before", async () => {
		holder = new Holder(folder, [RULES(53)]);
		await holder.says("held");
		expect(await ask(53)).toBe("silent");
		expect(await ask(54)).toBe("refused");
		await inside(CLIENT, "ping", "-c1", "-W2", VIP);
		await holder.end();
		expect(holder.said).toContain("closed");
		expect(await ask(53)).toBe("answered");
	});

	test("R4: a gateway's kernel drops control datagrams, and answers for other ports", async () => {
		expect(await ask(3575)).toBe("refused");
		holder = new Holder(folder, [gatewayRules(SERVICES("idle: 1s").services, ["eth0"], 3575)]);
		await holder.says("held");
		expect(await ask(3575)).toBe("silent");
		expect(await ask(53)).toBe("silent");
		expect(await ask(54)).toBe("refused"); // of TCP alone
		expect(await ask(3575, OWN)).toBe("refused"); // no service's address
	});

	test("R9: beside a user-space engine a backend's kernel drops control datagrams, and serves direct packets unless uninvited: drop", async () => {
		const rules = (fields: string, userSpace: boolean) => {
			const config = SERVICES(fields);
			const places = directEndpoints(snapshotOfConfig(config), config.backends[0]!.addresses);
			return backendRules(
				config.backends[0]!.addresses,
				["eth0"],
				{ tunnelPort: 6081, controlPort: 3575 },
				userSpace ? places : undefined,
			);
		};
		holder = new Holder(folder, [rules("", true), rules("uninvited: drop", true), rules("uninvited: drop", false)]);
		await holder.says("held");
		const answers = async () => ({
			probe: await ask(54, OWN, CONTROL), // of a TCP service
			control: await ask(3575, OWN, CONTROL),
			other: await ask(3575, OWN),
			elsewhere: await ask(80, OWN, CONTROL),
			service: await ask(53, OWN),
			tunnel: await ask(6081, OWN),
		});
		// "refused": the kernel passed the packet on, and no socket is bound there.
		const beside = { other: "refused", elsewhere: "refused", tunnel: "silent" };
		expect(await answers()).toEqual({ ...beside, probe: "silent", control: "silent", service: "refused" });
		holder.next();
		await until(() => holder?.said.filter((line) => line === "replaced").length === 1);
		expect(await answers()).toEqual({ ...beside, probe: "silent", control: "silent", service: "silent" });
		holder.next();
		await until(() => holder?.said.filter((line) => line === "replaced").length === 2);
		expect(await answers()).toEqual({ ...beside, probe: "refused", control: "refused", service: "refused" });
	});

	describe("replies of a UDP server on the wildcard address", () => {
		const OTHER = "203.0.113.54";
		const CONFIG = (service: string, capacity = 4096) =>
			parseConfig(
				`
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }
sessions: { capacity: ${capacity} }
backends: { b: { address: ${OWN} } }
services:
  s: { address: ${VIP}, protocol: udp, ${service} }
  t: { address: ${OTHER}, protocol: udp, port: 7000, backends: [b] }`,
				"inline.yaml",
			);
		const rules = (service = "port: 7000, backends: [b]", capacity?: number) => {
			const config = CONFIG(service, capacity);
			return replyRules(config.backends[0]!, snapshotOfConfig(config).services, config.sessions);
		};
		let server: ChildProcess;
		let client: ChildProcess;
		let replies: string[];

		/** A client with one port, 7001: sends a datagram, and says what answers it. */
		const exchange = async (address: string, port = 7000, text = "hello") => {
			replies.length = 0;
			client.stdin!.write(`${address} ${port} ${text}\n`);
			return await until(() => replies[0]);
		};
		const peers = async () =>
			(await inside(SERVER, "nft", "list", "set", "inet", "shunt_hosttest", "peers4")).stdout.match(/expires/g)
				?.length ?? 0;

		beforeAll(async () => {
			await run("ip", ["-n", SERVER, "address", "add", `${OTHER}/32`, "dev", "lo"]);
			await run("ip", ["-n", CLIENT, "route", "add", `${OTHER}/32`, "via", OWN]);
			// "again" is answered now, and for the second time after 700 ms.
			const program = `
				const s = require("node:dgram").createSocket("udp4");
				s.on("message", (m, { port, address }) => {
					s.send(m, port, address);
					if (String(m) === "again") for (const ms of [300, 600, 900, 1200]) setTimeout(() => s.send("late", port, address), ms);
				}).bind(7000, () => console.log("up"));`;
			server = spawn("ip", ["netns", "exec", SERVER, process.execPath, "-e", program]);
			replies = [];
			const asker = `
				const s = require("node:dgram").createSocket("udp4");
				s.on("message", (m, from) => console.log(from.address + ":" + from.port + " " + m));
				s.bind(7001, () => console.log("up"));
				require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
					const [address, port, text] = line.split(" ");
					s.send(text.repeat(text === "large" ? 800 : 1), Number(port), address);
				});`;
			client = spawn("ip", ["netns", "exec", CLIENT, process.execPath, "-e", asker]);
			client.stdout!.on("data", (text) => replies.push(...String(text).trim().split("\n")));
			await Promise.all([server, client].map((one) => new Promise((resolve) => one.stdout!.once("data", resolve))));
		});
		afterAll(async () => {
			server?.kill();
			client?.kill();
			await inside(SERVER, "nft", "delete", "table", "inet", "shunt_hosttest").catch(() => {});
		});

		test("R32: they leave from the service's address and port, fragments included; a packet straight to the backend is answered from there", async () => {
			expect(await exchange(VIP)).toBe(`${OWN}:7000 hello`);
			holder = new Holder(folder, [rules("port: 53, backends: [{ name: b, port: 7000 }]")]);
			await holder.says("held");
			expect(await exchange(VIP)).toBe(`${VIP}:53 hello`);
			expect(await exchange(VIP, 7000, "large")).toBe(`${VIP}:53 ${"large".repeat(800)}`);
			expect(await peers()).toBe(1);
			expect(await exchange(OWN)).toBe(`${OWN}:7000 hello`);
			expect(await exchange(VIP)).toBe(`${VIP}:53 hello`);
		});

		test("R32: of several services at one local port, the one that a client used last answers it", async () => {
			holder = new Holder(folder, [rules()]);
			await holder.says("held");
			for (const address of [VIP, OTHER, OTHER, VIP, OWN, OTHER, VIP, VIP])
				expect(await exchange(address)).toBe(`${address}:7000 hello`);
			await until(async () => (await peers()) === 1);
		});

		test("R32: a server that connects its socket to the client keeps receiving, whole datagrams of fragments too; a socket bound to the service address comes first", async () => {
			const program = `
				const open = (address) => {
					const options = { type: "udp4", reuseAddr: true };
					return require("node:dgram").createSocket(options).bind(7002, address, () => console.log("up"));
				};
				const wildcard = open("0.0.0.0");
				wildcard.on("message", (text, { port, address }) => {
					const answer = () => wildcard.send("connected " + text);
					if (!wildcard.isConnected) wildcard.connect(port, address, () => ((wildcard.isConnected = true), answer()));
					else if (String(text) !== "bind") answer();
					else {
						const bound = open("${VIP}");
						bound.on("listening", answer).on("message", (text, { port, address }) => {
							if (String(text) === "close") bound.close(() => wildcard.send("connected close"));
							else bound.send("bound " + text, port, address);
						});
					}
				});`;
			const connected = spawn("ip", ["netns", "exec", SERVER, process.execPath, "-e", program]);
			await new Promise((resolve) => connected.stdout!.once("data", resolve));
			holder = new Holder(folder, [rules("port: [7000, 7002], backends: [b]")]);
			await holder.says("held");
			for (const [text, answer] of [
				["one", "connected one"],
				["two", "connected two"],
				["large", `connected ${"large".repeat(800)}`],
				["bind", "connected bind"],
				["three", "bound three"],
				["close", "connected close"],
				["four", "connected four"],
			] as const)
				expect(await exchange(VIP, 7002, text)).toBe(`${VIP}:7002 ${answer}`);
			expect(await exchange(VIP)).toBe(`${VIP}:7000 hello`);
			// Straight to the backend it is answered from there, and then from the service again.
			expect(await exchange(OWN, 7002)).toBe(`${OWN}:7002 connected hello`);
			expect(await exchange(VIP, 7002)).toBe(`${VIP}:7002 connected hello`);
			connected.kill();
		});

		test("R32: a peer expires after idle, is refreshed by replies for idleSent, and survives a replacement of the rules", async () => {
			const short = "port: 7000, backends: [b], idle: 500ms";
			holder = new Holder(folder, [rules(`${short}, idleSent: 0ms`), rules(short), rules(short), rules(short, 8192)]);
			await holder.says("held");
			const heard = async () => {
				replies.length = 0;
				await exchange(VIP, 7000, "again");
				await until(() => replies.length === 5);
				return replies.slice(1);
			};
			const late = (...addresses: string[]) => addresses.map((address) => `${address}:7000 late`);
			expect(await heard()).toEqual(late(VIP, OWN, OWN, OWN));
			holder.next();
			await holder.says("replaced");
			expect(await heard()).toEqual(late(VIP, VIP, VIP, VIP));
			await exchange(VIP);
			holder.next();
			await until(() => holder?.said.filter((line) => line === "replaced").length === 2);
			expect(await peers()).toBe(1);
			holder.next();
			await until(() => holder?.said.filter((line) => line === "replaced").length === 3);
			expect(await exchange(VIP)).toBe(`${VIP}:7000 hello`);
		});

		test("R32: peers outlive a killed daemon and its successor's start; one with other sets starts anew", async () => {
			const start = async (one: object) => {
				holder = new Holder(folder, [one], { UNDO_LOG: "1" });
				await holder.says("held");
			};
			const kill = async () => {
				holder?.process.kill("SIGKILL");
				await until(() => holder?.process.signalCode);
			};
			await start(rules());
			expect(await exchange(VIP)).toBe(`${VIP}:7000 hello`);
			await kill();
			expect(await exchange(VIP)).toBe(`${VIP}:7000 hello`);
			await start(rules("port: 7000, backends: [b], idle: 20s"));
			expect(await peers()).toBe(1);
			await kill();
			await start({ sets: [{ name: "peers4", type: "inet_service", elements: ["5"] }], chains: [] });
			await kill();
			await start(rules());
			expect(await exchange(VIP)).toBe(`${VIP}:7000 hello`);
			await holder?.end();
			expect(await ruleset()).toBe("");
		});

		test("R32: three hundred services at one port are one transaction", async () => {
			const [place] = CONFIG("port: 7000, backends: [b]").services;
			const many = Array.from({ length: 300 }, (_, i) => ({ ...place!, address: `10.${20 + (i >> 8)}.${i & 255}.1` }));
			const config = CONFIG("port: 7000, backends: [b]");
			holder = new Holder(folder, [replyRules(config.backends[0]!, [...many, place!], config.sessions)]);
			await holder.says("held");
			expect(await exchange(VIP)).toBe(`${VIP}:7000 hello`);
		});
	});

	test("when a daemon is killed, its rules are removed with it: the host stays reachable", async () => {
		holder = new Holder(folder, [RULES(53)]);
		await holder.says("held");
		expect(await ruleset()).toContain("shunt_hosttest");
		holder.process.kill("SIGKILL");
		await until(async () => !(await ruleset()).includes("shunt_hosttest"));
		expect(await ask(53)).toBe("answered");
	});

	test("rules are replaced in one transaction, and rules that nft rejects leave the previous ones installed", async () => {
		const broken = RULES(55);
		broken.chains[0]!.rules.push("no such rule");
		holder = new Holder(folder, [RULES(53), RULES(54), broken]);
		await holder.says("held");
		holder.next();
		await holder.says("replaced");
		expect([await ask(53), await ask(54)]).toEqual(["answered", "silent"]);
		holder.next();
		expect(await holder.says("refused")).toMatch(/^refused SHUNT_FIREWALL_FAILED /);
		expect([await ask(54), await ask(55)]).toEqual(["silent", "refused"]);
	});

	test("rules can be replaced after others were rejected", async () => {
		const broken = RULES(54);
		broken.chains[0]!.rules.push("no such rule");
		holder = new Holder(folder, [broken, RULES(53), RULES(54)]);
		await holder.says("refused");
		holder.next();
		await holder.says("replaced");
		expect(await ask(53)).toBe("silent");
	});

	test("four thousand services are one transaction", async () => {
		const many = Array.from({ length: 4000 }, (_, i) => `10.${20 + (i >> 8)}.${i & 255}.1 . udp . 53`);
		holder = new Holder(folder, [RULES(53, [...many, `${VIP} . udp . 53`]), RULES(54)]);
		await holder.says("held");
		expect(await ask(53)).toBe("silent");
		holder.next();
		await holder.says("replaced");
		expect([await ask(53), await ask(54)]).toEqual(["answered", "silent"]);
	});

	test("when nft is killed, a warning is emitted and the rules are installed again", async () => {
		holder = new Holder(folder, [RULES(53), RULES(53)]);
		await holder.says("held");
		const found = await run("ip", ["netns", "pids", SERVER]);
		for (const pid of found.stdout.trim().split("\n")) {
			const { stdout } = await run("ps", ["-o", "comm=", "-p", pid]).catch(() => ({ stdout: "" }));
			if (stdout.trim() === "nft") process.kill(Number(pid), "SIGKILL");
		}
		await holder.says("lost");
		holder.next();
		await holder.says("replaced");
		expect(await ask(53)).toBe("silent");
	});
});
