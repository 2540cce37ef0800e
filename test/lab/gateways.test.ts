// gateways.test.ts - two gateways of one cluster: the second is given traffic once it is ready, and one that alone loses the
// path to a backend leaves it, while the other stays.

import { describe, expect, test } from "vitest";
import { CLI, type Cluster, ENGINES, labConfig, type MemberHost, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";
import { backendsOf, DnsLoad, expectWhole } from "./load.js";
import { now, outageOf } from "./outage.js";

const nine = addresses.client.ipv4[2]; // no rule of the DNS service names it
const nine6 = addresses.client.ipv6[2];
const VIP = "203.0.113.53";
const VIP6 = "2001:db8:53::53";

describe.skipIf(!isRoot).each(ENGINES)("two gateways, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	const config = labConfig([
		"\nbackends:\n",
		'\n  g2: { interface: eth0, address: [10.77.3.2, "fd77:3::2"] }\nbackends:\n',
	]);
	useCluster({ engine, config, secondGateway: true }, (running) => {
		({ lab, cluster } = running);
	});

	/** The router divides flows among these gateways (ECMP). */
	const route = (...gateways: readonly (keyof typeof addresses & MemberHost)[]) =>
		// biome-ignore format: one option per line would hide the command
		lab.run("router", [
			"ip", "route", "replace", "203.0.113.0/24", ...gateways.flatMap((one) => ["nexthop", "via", addresses[one].ipv4]),
		]);
	const load = (from: string, server: string, firstPort: number, flows: number, perSecond: number) =>
		DnsLoad.start(lab, { from, server, firstPort, flows, perSecond, most: 40_000 });
	const healthOf = async (gateway: MemberHost, backend: string) =>
		(await cluster.status(gateway)).loads.find(({ server }) => server === backend)?.health;
	/** Backends that have rows of the DNS service over UDP and this address. */
	const serving = async (gateway: MemberHost, address: string) => {
		const { services } = await cluster.status(gateway);
		const dns = services.find((one) => one.address === address && one.protocol === "udp")!;
		return [...new Set(dns.targets.filter(({ share }) => share > 0).map(({ backend }) => backend))].sort();
	};
	const sessionsAt = async (gateway: MemberHost) =>
		(await cluster.api(gateway).sessions({ source: nine, limit: 1000 })).sessions.length;

	test("R19 R31: a second gateway gets traffic once `shunt status --wait` returns: no packet is lost, and every session keeps its backend", async () => {
		await lab.run("router", ["sysctl", "-q", "-w", "net.ipv4.fib_multipath_hash_policy=1"]);
		await until("all to serve", async () => (await serving("gateway", VIP)).length === 3);
		const questions = await load(nine, VIP, 20_000, 40, 1000);
		// biome-ignore format: one option per line would hide the command
		const wait = [process.execPath, CLI, "status", "--wait", "--json", "--socket", cluster.socket("g2")] as const;
		const [, answer] = await Promise.all([cluster.startOne("g2"), lab.text("g2", wait, { timeoutMs: 40_000 })]);
		expect(JSON.parse(answer)).toMatchObject({ role: "gateway", name: "g2" });
		await route("gateway", "g2");
		const both = await questions.mark();
		await until("the second to have sessions", async () => (await sessionsAt("g2")) >= 5);
		await until("it to have had questions", async () => (await questions.mark()) >= both + 1000);
		await route("gateway");
		const report = await questions.end();
		expectWhole(report);
		expect([...new Set(report.flows.flatMap((flow) => backendsOf(flow)))].sort()).toEqual(["b1", "b2", "b3"]);
		for (const flow of report.flows) expect(backendsOf(flow), `flow ${flow.port}`).toHaveLength(1);
	});

	test("R31: one gateway loses the path to a backend: its sessions with it move, those of the other gateway stay, and afterwards it is used again", async () => {
		await lab.run("router", ["ip", "-6", "route", "replace", "2001:db8:53::/64", "via", addresses.g2.ipv6]);
		await until("all to serve", async () =>
			(await Promise.all([serving("gateway", VIP), serving("g2", VIP6)])).every((one) => one.length === 3),
		);
		const [first, second] = await Promise.all([load(nine, VIP, 21_000, 30, 800), load(nine6, VIP6, 22_000, 30, 300)]);
		const before = await first.mark();
		const pairs = (["ipv4", "ipv6"] as const).flatMap((family) => {
			const [ip, gateway, backend] = [
				family === "ipv4" ? "ip" : "ip6",
				addresses.gateway[family],
				addresses.b3[family],
			];
			return [
				`${ip} saddr ${gateway} ${ip} daddr ${backend} drop`,
				`${ip} saddr ${backend} ${ip} daddr ${gateway} drop`,
			];
		});
		const at = now();
		await lab.run("router", [
			"nft",
			`add table inet cut; add chain inet cut forward { type filter hook forward priority 0; };${pairs.map((rule) => `add rule inet cut forward ${rule};`).join("")}`,
		]);
		await until(
			"the first gateway to leave b3",
			async () =>
				(await healthOf("gateway", "b3")) === "unhealthy" && (await serving("gateway", VIP)).join() === "b1,b2",
			10_000,
		);
		const tablesMs = now() - at;
		expect(tablesMs, "at most 2.5 s; the rest is for a busy machine").toBeLessThan(5000);
		const after = await first.mark();
		expect(await whoAnswers(lab, nine, addresses.b3.ipv4), "clients reach it directly").toBe("b3");
		expect(await healthOf("g2", "b3")).toBe("healthy");
		const [moved, stayed] = await Promise.all([first.end(), second.end(300)]);
		const of = { engine, failure: "partition from one gateway", backend: "b3", at, tablesMs, before, after };
		const outage = outageOf(moved, of);
		expect(outage.sessions).toBeGreaterThan(0);
		expect(outage).toMatchObject({ moved: outage.sessions, othersMoved: 0 });
		expect(moved.lost.filter((number) => number < before || number >= after)).toEqual([]);
		expectWhole(stayed);
		expect(stayed.flows.filter((flow) => backendsOf(flow).includes("b3")).length).toBeGreaterThan(0);
		for (const flow of stayed.flows) expect(backendsOf(flow), `flow ${flow.port}`).toHaveLength(1);

		await lab.run("router", ["nft", "delete table inet cut"]);
		await until("b3 to serve again", async () => (await serving("gateway", VIP)).length === 3, 20_000);
		const events = (gateway: MemberHost) =>
			(cluster.daemons.get(gateway)?.stdout ?? "")
				.split("\n")
				.filter((line) => line.includes('"event":"health"') && line.includes('"backend":"b3"'))
				.map((line) => JSON.parse(line).health);
		expect(events("gateway")).toEqual(["unhealthy", "healthy"]);
		expect(events("g2"), "it has noticed nothing").toEqual([]);
		const answers = new Set<string>();
		for (let port = 23_000; answers.size < 3 && port < 23_040; port++)
			answers.add(await whoAnswers(lab, `${nine}#${port}`, VIP));
		expect([...answers].sort()).toEqual(["b1", "b2", "b3"]);
	});
});
