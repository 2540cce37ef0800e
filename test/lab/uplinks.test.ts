// uplinks.test.ts - R12: of a backend's two links, which one is handed out, by their headroom; and one that fails.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Cluster, DNS_DEFAULT, ENGINES, labConfig, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, root, until } from "./lab.js";
import { backendsOf, DnsLoad } from "./load.js";

const [, , nine, ten] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const FIRST = "10.77.11.2";
const SECOND = "10.77.21.2";

describe.skipIf(!isRoot).each(ENGINES)("two uplinks, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	const speeds = `[{ address: ${FIRST}, speed: 100Mbit }, { address: ${SECOND}, speed: 10Mbit }]`;
	const config = labConfig(
		["sessions: {", "load: { report: 100ms, smooth: 0ms, stale: 1s }\nsessions: { check: 100ms,"],
		[
			'b1: { address: [10.77.11.2, "fd77:11::2"], interface: eth0 }',
			`b1: { address: [${FIRST}, ${SECOND}, "fd77:11::2"], interface: [eth0, eth1], uplinks: ${speeds} }`,
		],
		[DNS_DEFAULT, "    backends: [b1] # default"],
	);
	/** The links get the speeds that the configuration states. */
	const prepare = async (host: Lab) => {
		for (const [port, rate] of [
			["b1", "100mbit"],
			["b1-eth1", "10mbit"],
		] as const)
			// biome-ignore format: one option per line would hide the command
			await host.run("router", [
				"tc", "qdisc", "add", "dev", port, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "50ms",
			]);
	};
	useCluster({ config, engine, prepare }, (running) => {
		({ lab, cluster } = running);
	});

	const uplinks = async () => {
		const { loads } = await cluster.status("gateway");
		const [b1] = loads;
		const of = (address: string) => b1?.uplinks.find((one) => one.addresses.includes(address));
		return { first: of(FIRST), second: of(SECOND) };
	};
	const target = async (address: string) => {
		const { services } = await cluster.status("gateway");
		const dns = services.find((one) => one.address === VIP && one.protocol === "udp");
		return dns?.targets.find((one) => one.address === address && one.share > 0);
	};
	/** So many datagrams of 1,000 bytes, of so many flows, at a steady rate. */
	const flood = async (from: string, to: string, flows: number, count: number, perSecond: number) => {
		await lab.run("client", ["ping", "-c", "1", "-W", "2", "198.51.100.1"]);
		const neighbours = await lab.text("client", ["ip", "-json", "neighbour", "show", "198.51.100.1"]);
		// biome-ignore format: one option per line would hide the command
		return lab.start("client", [
			join(root, "scripts/pktgen"), "-i", "eth0", "-m", JSON.parse(neighbours)[0].lladdr, "-s", from, "-d", to, "-p", "53",
			"-b", "1000", "-n", String(count), "-f", String(flows), "-r", String(perSecond),
		]);
	};
	/** Of new sessions, the first link's part. */
	const part = async (from: string) => {
		const sessions = async () => [(await target(FIRST))?.sessions ?? 0, (await target(SECOND))?.sessions ?? 0];
		const then = await sessions();
		const load = await flood(from, VIP, 1000, 2000, 2000);
		expect(await load.ended, load.stderr).toBe(0);
		const all = (of: number[]) => (of[0] ?? 0) + (of[1] ?? 0);
		await until("all sessions to be counted", async () => all(await sessions()) >= all(then) + 1000);
		const now = await sessions();
		return ((now[0] ?? 0) - (then[0] ?? 0)) / 1000;
	};

	test("R12: new sessions are shared by what the links' own counters and speeds leave of them, within 5 %", async () => {
		await until("both to be reported", async () => (await uplinks()).second?.speedBps === 10e6);
		expect((await uplinks()).first).toMatchObject({ up: true, speedBps: 100e6 });
		await until("the shares to be published", async () => ((await target(FIRST))?.share ?? 0) > 0.85);
		expect(Math.abs((await part(nine)) - 100 / 110)).toBeLessThan(0.05);

		// Foreign traffic on the first uplink: of 100 Mbit/s about 40 remain.
		const foreign = await flood(nine, FIRST, 10, 100_000, 7300);
		await until("it to be seen", async () => ((await uplinks()).first?.rxBps ?? 0) > 50e6);
		await until("the shares to follow", async () => {
			const { first, second } = await uplinks();
			const room = (one: typeof first) => (one?.speedBps ?? 0) - (one?.rxBps ?? 0);
			return Math.abs((first?.share ?? 0) - room(first) / (room(first) + room(second))) < 0.03;
		});
		const { first, second } = await uplinks();
		const headroom = 100e6 - (first?.rxBps ?? 0);
		const expected = headroom / (headroom + 10e6 - (second?.rxBps ?? 0));
		expect(expected).toBeLessThan(0.85);
		expect(Math.abs((await part(ten)) - expected)).toBeLessThan(0.05);
		await foreign.stop();
	});

	test("R12: an address that does not answer while another does is handed out no more, and its sessions move", async () => {
		const load = await DnsLoad.start(lab, { from: nine, server: VIP, firstPort: 30_000, flows: 40 });
		await until("some on either", async () => ((await target(SECOND))?.sessions ?? 0) > 0);
		await lab.run("router", ["ip", "route", "add", "blackhole", `${SECOND}/32`]);
		await until("it to have no rows", async () => (await target(SECOND)) === undefined);
		const moved = await load.mark();
		const report = await load.end();
		expect(report.lost.filter((number) => number >= moved)).toEqual([]);
		expect(report.flows.every((flow) => backendsOf(flow).join() === "b1")).toBe(true);
		await lab.run("router", ["ip", "route", "del", "blackhole", `${SECOND}/32`]);
		// Each fall doubles the hold-down.
		await until("it to come back", async () => ((await uplinks()).second?.share ?? 0) > 0, 20_000);
	});

	test("R12: a link without a carrier is down at the next report, and what remains serves all", async () => {
		await lab.run("router", ["ip", "link", "set", "b1-eth1", "down"]);
		await until("it to be told", async () => (await uplinks()).second?.up === false);
		await until("all rows to be the other's", async () => ((await target(FIRST))?.share ?? 0) === 1);
		for (let port = 40_000; port < 40_010; port++) expect(await whoAnswers(lab, `${nine}#${port}`, VIP)).toBe("b1");
		await lab.run("router", ["ip", "link", "set", "b1-eth1", "up"]);
		await until("it to come back", async () => ((await target(SECOND))?.share ?? 0) > 0, 20_000);
	});
});
