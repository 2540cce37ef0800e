// client.test.ts - programs with the client library, against real gateways and backends: the gateway gets out of the path, and no program notices
// a failed server.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Cluster, DNS_DEFAULT, ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, type Host, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const DNS = "203.0.113.53";
const DNS6 = "2001:db8:53::53";
const WEB = "203.0.113.80";
const BACKENDS = ["10.77.0.0/16", "fd77::/16"];
const PROGRAM = join(import.meta.dirname, "client-program.mjs");

const TERMS = "redirect: { clients: true, term: leased, lease: 60s }";
/** All clients are spread over three backends, and redirected. */
const CONFIG = labConfig(
	[DNS_DEFAULT, `    ${TERMS}\n$&`],
	["    idle: 1m\n    backends: [b1, b2, b3]", `    idle: 1m\n    ${TERMS}\n    backends: [b1, b2, b3]`],
);

interface Exchange {
	i: number;
	ms: number;
	who: string | null;
	way: string;
}

interface Ask {
	kind: "dns" | "http";
	service: string;
	port: number;
	from: string;
	fromPort?: number;
	count: number;
	gapMs: number;
	tries?: number;
	waitMs?: number;
	redirection?: object;
}

class Program {
	constructor(readonly process: LabProcess) {}

	get lines(): Record<string, never>[] {
		return this.process.stdout
			.split("\n")
			.filter((line) => line.endsWith("}"))
			.map((line) => JSON.parse(line));
	}

	get exchanges(): Exchange[] {
		return this.lines.filter((line) => "i" in line) as unknown as Exchange[];
	}

	get events(): { event: string; target?: { address: string }; cause?: string; why?: string }[] {
		return this.lines.filter((line) => "event" in line) as never;
	}

	/** All of it, once it has ended by itself. */
	async end(): Promise<Exchange[]> {
		expect(await this.process.ended, this.process.stderr).toBe(0);
		return this.exchanges;
	}
}

describe.skipIf(!isRoot).each(ENGINES)("programs with the client library, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	const undo: (() => Promise<unknown>)[] = [];

	useCluster({ engine, config: CONFIG }, (running) => {
		({ lab, cluster } = running);
	});

	afterEach(async () => {
		for (const one of undo.splice(0)) await one();
	});

	const start = (ask: Ask) =>
		new Program(
			lab.start("client", [
				process.execPath,
				PROGRAM,
				JSON.stringify({ ...ask, redirection: { targets: BACKENDS, services: [ask.service], ...ask.redirection } }),
			]),
		);

	/** What is to be so until the test ends: rules of a table of its own. */
	const rules = async (host: Host, chain: string, ...lines: string[]) => {
		await lab.text(host, ["nft", `add table inet test; add chain inet test c { type filter hook ${chain}; }`]);
		undo.push(() => lab.text(host, ["nft", "delete table inet test"]));
		for (const line of lines) await lab.text(host, ["nft", `add rule inet test c ${line}`]);
	};

	const gateway = async () => {
		const reasons = await cluster.reasons("gateway");
		const forwarded = Object.entries(reasons).reduce(
			(sum, [name, n]) => sum + (name.startsWith("forwarded") ? n : 0),
			0,
		);
		return { forwarded, answered: reasons.answered ?? 0, failures: reasons.answered_failure ?? 0 };
	};
	const hostOf = (address: string) =>
		(["b1", "b2", "b3"] as const).find((one) => addresses[one].ipv4 === address || addresses[one].ipv6 === address);

	test.each([
		["IPv4", DNS, addresses.client.ipv4[2]],
		["IPv6", DNS6, addresses.client.ipv6[2]],
	])(
		"R5 R7 R16 R20 R22 R23 R24 R26: UDP over %s: the gateway sees the first datagram and the question, the target all others",
		async (_, service, from) => {
			const before = await gateway();
			const program = start({ kind: "dns", service, port: 53, from, count: 60, gapMs: 5 });
			const all = await program.end();
			expect(all.filter(({ who }) => who === null)).toEqual([]);
			const after = await gateway();
			expect(after.answered - before.answered).toBe(1);
			expect(after.forwarded - before.forwarded).toBeLessThanOrEqual(3);
			const direct = all.filter(({ way }) => way !== "gateway");
			expect(direct.length).toBeGreaterThanOrEqual(57);
			expect(new Set(all.map(({ who }) => who)).size, "one backend has the session from the first datagram on").toBe(1);
			expect(direct.map(({ way }) => hostOf(way))).toEqual(direct.map(({ who }) => who));
			expect(program.events.map(({ event }) => event)).toEqual(["redirect", "lease"]);
		},
	);

	test("R6: term once: a socket's own flow goes straight to the backend and needs no renewal; the next socket begins at the gateway", async () => {
		const members = ["gateway", "b1", "b2", "b3"] as const;
		const once = "redirect: { clients: true, term: once }";
		await cluster.change(TERMS, once, members);
		undo.push(() => cluster.change(once, TERMS, members));
		const [, , from] = addresses.client.ipv4;
		for (const fromPort of [4601, 4602]) {
			const before = await gateway();
			const program = start({ kind: "dns", service: DNS, port: 53, from, fromPort, count: 40, gapMs: 5 });
			const all = await program.end();
			expect(all.filter(({ who }) => who === null)).toEqual([]);
			const direct = all.filter(({ way }) => way !== "gateway");
			expect(direct.length).toBeGreaterThanOrEqual(37);
			expect(direct.map(({ way }) => hostOf(way))).toEqual(direct.map(({ who }) => who));
			expect(program.events).toMatchObject([{ event: "redirect" }]);
			const after = await gateway();
			expect(after.answered - before.answered, "each socket asks for itself").toBe(1);
			expect(after.forwarded - before.forwarded).toBeGreaterThanOrEqual(1);
		}
	});

	test("R8 R21 R22: a target whose service has stopped is reported; what is lost meanwhile is asked again, and a third serves", async () => {
		const program = start({
			kind: "dns",
			service: DNS,
			port: 53,
			from: addresses.client.ipv4[3],
			count: 80,
			gapMs: 20,
			redirection: { silence: 100 },
		});
		const [first] = await until(
			"a target",
			() =>
				program.exchanges.filter(({ way }) => way !== "gateway")[0] &&
				program.exchanges.filter(({ way }) => way !== "gateway"),
		);
		const failed = hostOf((first as Exchange).way) as Host;
		const pid = readFileSync(`/run/shunt-lab/${lab.prefix}/pids/dnsmasq.${failed}`, "utf8").split(" ")[0];
		process.kill(Number(pid), "SIGKILL");
		undo.push(() => lab.startServices());
		const all = await program.end();
		expect(all.filter(({ who }) => who === null)).toEqual([]);
		expect(program.events.map(({ event }) => event)).toContain("failover");
		const last = all.at(-1) as Exchange;
		expect(last.way).not.toBe("gateway");
		expect(hostOf(last.way)).toBe(last.who);
		expect(last.who).not.toBe(failed);
		expect(Math.max(...all.map(({ ms }) => ms)), "the slowest exchange").toBeLessThan(1500);
	});

	test("R8 R21: a target that this client can't reach is never bound, and everything is served by the gateway or a third", async () => {
		await rules("router", "forward priority 0", `ip saddr 198.51.100.0/24 ip daddr 10.77.11.2 drop`);
		const program = start({
			kind: "dns",
			service: DNS,
			port: 53,
			from: addresses.client.ipv4[0],
			count: 60,
			gapMs: 20,
		});
		const all = await program.end();
		expect(all.filter(({ who }) => who === null)).toEqual([]);
		expect(all.filter(({ way }) => hostOf(way) === "b1")).toEqual([]);
		expect(Math.max(...all.map(({ ms }) => ms))).toBeLessThan(500);
	});

	test("R25: where no gateway answers questions, exchanges are as ever", async () => {
		await rules("router", "forward priority 0", "udp dport 3575 drop");
		const program = start({
			kind: "dns",
			service: DNS,
			port: 53,
			from: addresses.client.ipv4[1],
			count: 30,
			gapMs: 80,
		});
		const all = await program.end();
		expect(all.filter(({ who, way }) => who === null || way !== "gateway")).toEqual([]);
		expect(program.events).toContainEqual(expect.objectContaining({ event: "plain", why: "no-capability" }));
	});

	test("R20 R22 R23 R26: HTTP: the first request goes by the gateway, all others to the target, under the service's name", async () => {
		const program = start({
			kind: "http",
			service: WEB,
			port: 80,
			from: addresses.client.ipv4[2],
			count: 20,
			gapMs: 20,
		});
		const all = await program.end();
		expect(all.filter(({ who }) => who === null)).toEqual([]);
		expect((all[0] as Exchange).way).toBe("gateway");
		const direct = all.filter(({ way }) => way !== "gateway");
		expect(direct.length).toBeGreaterThanOrEqual(17);
		expect(direct.map(({ way }) => hostOf(way))).toEqual(direct.map(({ who }) => who));
	});

	test("R8 R21: HTTP: a target that resets connections is reported, no request fails, and a third serves", async () => {
		const program = start({
			kind: "http",
			service: WEB,
			port: 80,
			from: addresses.client.ipv4[2],
			count: 40,
			gapMs: 25,
		});
		const first = await until("a target", () => program.exchanges.find(({ way }) => way !== "gateway"));
		await rules(
			hostOf(first.way) as Host,
			"input priority 0",
			// New connections only: one that is under way when the rule is added is lost, as with any server.
			`ip daddr ${first.way} tcp dport 80 tcp flags & (syn | ack) == syn reject with tcp reset`,
		);
		const all = await program.end();
		expect(all.filter(({ who }) => who === null)).toEqual([]);
		expect(program.events).toContainEqual(expect.objectContaining({ event: "failover", cause: "refused" }));
		const last = all.at(-1) as Exchange;
		expect(last.way).not.toBe(first.way);
	});

	test("R25: behind a NAT whose mappings are for one destination each, everything is served, and the target is bound", async () => {
		await lab.text("router", [
			"nft",
			"add table ip nat; add chain ip nat out { type nat hook postrouting priority srcnat; }",
		]);
		undo.push(() => lab.text("router", ["nft", "delete table ip nat"]));
		await lab.text("router", ["nft", "add rule ip nat out ip saddr 198.51.100.9 snat to 198.51.100.1 random"]);
		const program = start({
			kind: "dns",
			service: DNS,
			port: 53,
			from: addresses.client.ipv4[2],
			count: 40,
			gapMs: 10,
		});
		const all = await program.end();
		expect(all.filter(({ who }) => who === null)).toEqual([]);
		expect((all.at(-1) as Exchange).way).not.toBe("gateway");
		expect(Math.max(...all.map(({ ms }) => ms))).toBeLessThan(500);
	});

	test("R25: over a link of 1280 bytes, UDP and TCP", async () => {
		await lab.text("client", ["ip", "link", "set", "eth0", "mtu", "1280"]);
		undo.push(() => lab.text("client", ["ip", "link", "set", "eth0", "mtu", "1500"]));
		for (const ask of [
			{ kind: "dns", service: DNS6, port: 53, from: addresses.client.ipv6[2] },
			{ kind: "http", service: WEB, port: 80, from: addresses.client.ipv4[2] },
		] as const) {
			const all = await start({ ...ask, count: 20, gapMs: 10 }).end();
			expect(all.filter(({ who }) => who === null)).toEqual([]);
			expect((all.at(-1) as Exchange).way).not.toBe("gateway");
		}
	});

	test("R25: 30 % loss: no exchange fails", async () => {
		await rules("router", "forward priority 0", "udp dport { 53, 3575 } numgen random mod 100 < 30 drop");
		const program = start({
			kind: "dns",
			service: DNS,
			port: 53,
			from: addresses.client.ipv4[2],
			count: 30,
			gapMs: 20,
			tries: 10,
			waitMs: 250,
		});
		const all = await program.end();
		expect(all.filter(({ who }) => who === null)).toEqual([]);
	}, 60_000);
});
