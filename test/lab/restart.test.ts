// restart.test.ts - daemons that are killed, handed over and upgraded under load, while the kernel goes on.
//
// Numbered datagrams are captured by tcpdump behind the backend's engine, questions to dnsmasq are counted at the client, and a
// TCP connection of iperf3's stays open: whatever is missing was lost.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CLI, type Cluster, type MemberHost, traces, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";
import { backendsOf, DnsLoad, expectWhole, numbered } from "./load.js";

const [seven, eight, nine] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const VIP6 = "2001:db8:53::53";
const COUNT = 50_000;
const MEMBERS = ["gateway", "b1", "b2", "b3"] as const;

describe.skipIf(!isRoot)("the kernel's engine outlives its daemon, engine native", () => {
	let lab: Lab;
	let cluster: Cluster;
	let port = 5000;

	useCluster({ engine: "native" }, (running) => {
		({ lab, cluster } = running);
	});

	/** Numbered datagrams to b1, whom a rule names for the client's first address. */
	const underLoad = async (disturb: () => Promise<void>) => {
		port++;
		const load = { server: VIP, sourcePort: port, count: COUNT, perSecond: 4000 };
		expect(await numbered(cluster, "b1", load, disturb)).toEqual({ arrived: COUNT, numbers: COUNT });
	};
	const sessions = async (host: MemberHost, source: string, sourcePort: number) =>
		(await cluster.api(host).sessions({ source })).sessions.filter((one) => one.sourcePort === sourcePort);
	const kill = (host: MemberHost) => cluster.daemons.get(host)?.stop("SIGKILL");
	/** Packets that the gateway sent to b1 for the DNS service over UDP and IPv4. */
	const carried = async () => {
		const { services } = await cluster.status("gateway");
		const dns = services.find(({ address, protocol }) => address === VIP && protocol === "udp");
		return dns?.targets.filter(({ backend }) => backend === "b1").reduce((sum, one) => sum + one.packets, 0) ?? 0;
	};

	test("R1 R9 R29: the gateway's daemon is killed and started again: not one packet is lost, sessions, ages and counters go on", async () => {
		const segments = "tcp dst port 5201";
		const sent = await lab.capture("client", "eth0", segments, { snaplen: 60 });
		const delivered = await cluster.delivered("b1", segments, { snaplen: 60 });
		// biome-ignore format: one argument per line would hide the command
		const iperf = lab.start("client", [
			"iperf3", "-c", "203.0.113.52", "-B", seven, "-b", "10M", "-t", "7", "--connect-timeout", "3000", "-J",
		]);
		expect(await whoAnswers(lab, `${seven}#4444`, VIP)).toBe("b1"); // and no more from there: its record ages
		const before = { epoch: (await cluster.status("gateway")).epoch, carried: await carried() };
		await underLoad(async () => {
			const [old] = await sessions("gateway", seven, 4444);
			const since = performance.now();
			await kill("gateway");
			expect(await whoAnswers(lab, eight, VIP)).toBe("b2"); // no daemon runs: the kernel's engine works alone
			await cluster.startOne("gateway");
			const [aged] = await sessions("gateway", seven, 4444);
			expect(aged).toEqual({ ...old, idleMs: aged?.idleMs, leftMs: aged?.leftMs, health: aged?.health });
			expect((aged?.idleMs ?? 0) - (old?.idleMs ?? 0)).toBeGreaterThan(performance.now() - since - 500);
			const [session] = await sessions("gateway", seven, port);
			expect(session).toMatchObject({ backend: "b1", proven: true });
			const tcp = (await cluster.api("gateway").sessions({ source: seven })).sessions.filter(
				({ protocol, destinationPort }) => protocol === "tcp" && destinationPort === 5201,
			);
			expect(tcp.length, "iperf3's connections").toBe(2);
			for (const one of tcp) expect(one).toMatchObject({ backend: "b1", proven: true });
		});
		const status = await cluster.status("gateway");
		expect(status.engine).toMatchObject({ mode: "native", adopted: true });
		expect(status.epoch).toBeGreaterThan(before.epoch);
		expect((await carried()) - before.carried, "packets carried while no daemon ran are counted").toBe(COUNT);
		expect(status.reasons.filter(({ verdict }) => verdict === "drop")).toEqual([]);
		expect(status.conserved).toBe(true);
		expect(status.lost).toBe(0);

		expect(await iperf.ended, iperf.stdout).toBe(0);
		expect(JSON.parse(iperf.stdout).end.sum_received.bytes).toBeGreaterThan(7_000_000);
		// Not its retransmissions: on a busy machine those are loss probes, and the originals arrive as well.
		await until("the last segments", () => delivered.packets().length === sent.packets().length).catch(() => {});
		const missing = (await sent.stop()).length - (await delivered.stop()).length;
		expect(missing, `of ${sent.packets().length}`).toBeLessThanOrEqual(delivered.dropped);
		expect(missing).toBeGreaterThanOrEqual(-sent.dropped);
	});

	test("R9 R29: shunt stop --keep and a new daemon with a larger table and more services: not one packet is lost, no session moves", async () => {
		const load = await DnsLoad.start(lab, { from: nine, server: VIP, firstPort: 6000, flows: 30, perSecond: 3000 });
		const flows = async () => {
			const { sessions } = await cluster.api("gateway").sessions({ source: nine });
			const loads = sessions.filter(({ sourcePort }) => sourcePort >= 6000 && sourcePort < 6030);
			return new Map(loads.map(({ sourcePort, target }) => [sourcePort, target]));
		};
		const before = { status: await cluster.status("gateway"), flows: await flows() };
		expect(before.flows.size).toBe(30);
		// biome-ignore format: one option per line would hide the command
		await lab.run("gateway", [process.execPath, CLI, "stop", "--keep", "--socket", cluster.socket("gateway")]);
		const old = cluster.daemons.get("gateway");
		expect(await old?.ended).toBe(0);
		expect(old?.stdout).toMatch(/"event":"stopped","left":true/);
		// More services than the old tables had room for.
		const more = Array.from(
			{ length: 300 },
			(_, i) => `  more${i}: { address: 203.0.113.99, port: ${1000 + i}, protocol: udp, backends: [b1, b2] }\n`,
		);
		cluster.write(
			readFileSync(cluster.config, "utf8")
				.replace(/capacity: \d+/, "capacity: 400000")
				.replace("\nservices:\n", `\nservices:\n${more.join("")}`),
		);
		await cluster.startOne("gateway");
		expect(await flows()).toEqual(before.flows);
		const status = await cluster.status("gateway");
		expect(status.engine).toMatchObject({ mode: "native", adopted: true });
		expect(status.sessions.capacity).toBeGreaterThan(before.status.sessions.capacity + 300_000);
		expect(status.services.map(({ name }) => name)).toContain("more299");
		expect(status.epoch).toBeGreaterThan(before.status.epoch);
		const report = await load.end(6000);
		expectWhole(report);
		for (const flow of report.flows) expect(backendsOf(flow), `flow ${flow.port}`).toHaveLength(1);
		const reasons = await cluster.reasons("gateway");
		expect(reasons.forwarded_moved ?? 0).toBe(0);
		expect(await whoAnswers(lab, addresses.client.ipv6[0], VIP6)).toBe("b1");
	});

	test("R3 R9: two backends' daemons are killed and started again: not one packet is lost, and answers of another port are turned back", async () => {
		const other = await DnsLoad.start(lab, { from: eight, server: VIP, firstPort: 6100, flows: 8, perSecond: 500 });
		await underLoad(async () => {
			await Promise.all([kill("b1"), kill("b2")]);
			const dead = await other.mark();
			expect(await whoAnswers(lab, addresses.client.ipv6[1], VIP6, ["+tcp"])).toBe("b2"); // at port 5353, answered from 53
			expect(await other.mark()).toBeGreaterThan(dead);
			await Promise.all([cluster.startOne("b1"), cluster.startOne("b2")]);
			expect(await sessions("b1", seven, port)).toHaveLength(1);
			expect(await sessions("b2", eight, 6100)).toHaveLength(1);
		});
		const report = await other.end();
		expectWhole(report);
		for (const flow of report.flows) expect(backendsOf(flow)).toEqual(["b2"]);
		for (const host of ["b1", "b2"] as const) {
			const status = await cluster.status(host);
			expect(status.engine.adopted).toBe(true);
			expect(status.conserved).toBe(true);
			expect(status.reasons.filter(({ verdict }) => verdict === "drop")).toEqual([]);
		}
	});

	test("R2 R9: what changed while no gateway's daemon was there holds once it is back: an inactive backend's sessions move, a draining one's stay", async () => {
		const load = await DnsLoad.start(lab, { from: nine, server: VIP, firstPort: 6200, flows: 30 });
		await kill("gateway");
		cluster.write(
			readFileSync(cluster.config, "utf8")
				.replace(/(b2: \{ address: [^}]*interface: eth0) \}/, "$1, state: draining }")
				.replace(/(b3: \{ address: [^}]*interface: eth0) \}/, "$1, state: inactive }"),
		);
		const dead = await load.mark();
		await cluster.startOne("gateway");
		const back = await load.mark();
		const newcomers = await DnsLoad.start(lab, { from: nine, server: VIP, firstPort: 6300, flows: 20, perSecond: 500 });
		const [report, fresh] = await Promise.all([load.end(), newcomers.end(200)]);
		for (const one of [report, fresh]) expectWhole(one);
		const first = report.flows.map((flow) => backendsOf(flow, 0, dead));
		expect([...new Set(first.flat())].sort()).toEqual(["b1", "b2", "b3"]);
		for (const [i, flow] of report.flows.entries()) {
			expect(first[i], `flow ${flow.port}, by the old tables`).toHaveLength(1);
			if (first[i]?.[0] === "b3") expect(backendsOf(flow, back), "moved, but to no draining one").toEqual(["b1"]);
			else expect(backendsOf(flow)).toEqual(first[i]);
		}
		for (const flow of fresh.flows) expect(backendsOf(flow)).toEqual(["b1"]);
		const gone = first.filter(([own]) => own === "b3").length;
		expect((await cluster.reasons("gateway")).forwarded_moved).toBe(gone);
	});

	test("R29: a clean end leaves nothing of it: no pin, no program, no rule, no address, no setting, no file", async () => {
		const killed = await cluster.status("gateway");
		expect(killed.engine.adopted, "one that has taken over, too").toBe(true);
		for (const host of MEMBERS) expect((await traces(lab, host)).join(), "what would be left").toMatch(/shunt_xdp/);
		await cluster.stop();
		for (const host of MEMBERS) {
			expect(await traces(lab, host), host).toEqual([]);
			expect(existsSync(cluster.socket(host))).toBe(false);
		}
	});

	test("R29: a daemon whose pins would end with it says so, and stop --keep is refused; so is a backend without an address here", async () => {
		// biome-ignore format: one option per line would hide the command
		const command = (role: string, name: string) => [
			process.execPath, CLI, role, "--config", cluster.config, "--name", name, "--socket", cluster.socket("gateway"), "--json",
		];
		const own = 'while umount /run/shunt/bpf 2>/dev/null; do :; done; exec "$@"';
		const daemon = lab.start("gateway", ["unshare", "--mount", "sh", "-c", own, "sh", ...command("gateway", "g1")]);
		await daemon.saysOnStdout(/the kernel engine ends with this daemon: [\s\S]*"event":"started"/, 20_000);
		const stop = [process.execPath, CLI, "stop", "--keep", "--socket", cluster.socket("gateway")] as const;
		const refused = await lab.run("gateway", stop, { mayFail: true });
		expect(refused.status).toBe(3);
		expect(refused.stderr).toMatch(/the kernel engine of the gateway g1 would end with the daemon/);
		expect(daemon.running).toBe(true);
		expect(await daemon.stop("SIGUSR2")).toBe(0);
		expect(daemon.stdout).toMatch(/"event":"stopped","left":false/);
		expect(await traces(lab, "gateway")).toEqual([]);

		const elsewhere = await lab.run("gateway", command("backend", "b2") as never, { mayFail: true });
		expect(elsewhere.status).toBe(3);
		expect(elsewhere.stderr).toMatch(
			/This host has none of the addresses of the backend b2 \(10\.77\.12\.2, fd77:12::2\)/,
		);
		expect(await traces(lab, "gateway")).toEqual([]);
	});
});
