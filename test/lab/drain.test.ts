// drain.test.ts - R31: backends taken out of service by command, at one daemon or for all gateways, and a stop that
// drains first.

import { describe, expect, test } from "vitest";
import type { Overridden } from "../../src/api/index.js";
import { CLI, type Cluster, ENGINES, type MemberHost, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";
import { backendsOf, DnsLoad, expectWhole } from "./load.js";

const nine = addresses.client.ipv4[2]; // no rule of the DNS service names it
const VIP = "203.0.113.53";

describe.skipIf(!isRoot).each(ENGINES)("a drain by command, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	let port = 20_000;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	const cli = async (host: MemberHost, ...words: string[]) =>
		(
			await lab.run(host, [process.execPath, CLI, ...words, "--socket", cluster.socket(host), "--json"] as never, {
				timeoutMs: 60_000,
			})
		).stdout;
	/** Backends with a share of new sessions, as the gateway's tables have it. */
	const serving = async () => {
		const { services } = await cluster.status("gateway");
		const dns = services.find(({ address, protocol }) => address === VIP && protocol === "udp");
		const targets = dns?.targets.filter(({ share }) => share > 0) ?? [];
		return [...new Set(targets.map(({ backend }) => backend))].sort();
	};
	const serve = (...backends: string[]) =>
		until(`${backends} to serve`, async () => (await serving()).join() === backends.join(), 10_000);
	const newSessions = async () => {
		const answers: string[] = [];
		port += 100;
		for (let i = 0; i < 15; i++) answers.push(await whoAnswers(lab, `${nine}#${port + i}`, VIP));
		return [...new Set(answers)].sort();
	};
	const startLoad = () => {
		port += 100;
		return DnsLoad.start(lab, { from: nine, server: VIP, firstPort: port, flows: 30, perSecond: 1000, most: 60_000 });
	};

	test("R31: a backend that drains keeps its sessions and gets no new ones, by its own report at every gateway, over a reload and a crash", async () => {
		await until("b2 to be heard", async () => (await cluster.status("gateway")).ready.ready, 10_000);
		const plan: Overridden = JSON.parse(await cli("gateway", "drain", "b2", "--plan"));
		expect(plan.applied).toBe(false);
		expect(plan.left, "a rule names it alone").toContain(`dns udp ${VIP}:53 from ${addresses.client.ipv4[1]}/32`);
		const [dns] = plan.redirections.filter(({ address, rule }) => address === VIP && rule === null);
		expect(dns?.shares.find(({ backend }) => backend === "b2")).toMatchObject({ after: 0 });
		expect(await serving()).toEqual(["b1", "b2", "b3"]);

		const load = await startLoad();
		const before = await load.mark();
		await cli("b2", "drain", "b2", "--force");
		await serve("b1", "b3");
		const drained = await load.mark();
		expect((await cluster.status("gateway")).overrides).toMatchObject([
			{ backend: "b2", state: "draining", by: "report", file: "active" },
		]);
		expect(await newSessions()).toEqual(["b1", "b3"]);
		await cluster.api("gateway").reload();
		expect(await serving(), "a reload keeps it").toEqual(["b1", "b3"]);
		const report = await load.end();
		expectWhole(report);
		expect(report.flows.filter((flow) => backendsOf(flow, drained).includes("b2")).length).toBeGreaterThan(0);
		for (const flow of report.flows) expect(backendsOf(flow, drained)).toEqual(backendsOf(flow, 0, before));

		await cluster.daemons.get("b2")?.stop("SIGKILL");
		await cluster.startOne("b2");
		const own = (await cluster.status("b2")).overrides;
		expect(own).toMatchObject([{ backend: "b2", state: "draining", by: "command", file: "active" }]);
		await cli("b2", "undrain", "b2");
		await serve("b1", "b2", "b3");
		expect((await cluster.status("gateway")).overrides).toEqual([]);
	});

	test("R31: a drain at the gateway ends by its deadline: then its sessions are answered by others; the last backend is refused; weight 0 gets no new sessions", async () => {
		const load = await startLoad();
		const before = await load.mark();
		await cli("gateway", "drain", "b3", "--deadline", "1s", "--force");
		expect(await serving()).toEqual(["b1", "b2"]);
		await until("the deadline", async () => {
			const [override] = (await cluster.status("gateway")).overrides;
			return override?.state === "inactive";
		});
		const { flows, ...report } = await load.end(2000);
		expectWhole({ flows, ...report });
		const were = flows.filter((flow) => backendsOf(flow, 0, before).includes("b3"));
		expect(were.length).toBeGreaterThan(0);
		for (const flow of were) expect(backendsOf(flow).at(-1)).toMatch(/^b[12]$/);
		await cli("gateway", "undrain", "b3");
		await serve("b1", "b2", "b3");
		for (const backend of ["b1", "b2"]) await cli("gateway", "drain", backend, "--force");
		await expect(cli("gateway", "drain", "b3")).rejects.toThrow(
			/drain b3 leaves no active backend for .*dns udp 203.0.113.53:53/,
		);
		for (const backend of ["b1", "b2"]) await cli("gateway", "undrain", backend);
		await serve("b1", "b2", "b3");

		await cli("gateway", "weight", "dns", "b3", "0", "--force");
		await serve("b1", "b2");
		expect(await newSessions()).toEqual(["b1", "b2"]);
		expect((await cluster.status("gateway")).overrides).toMatchObject([
			{ backend: "b3", service: "dns", weight: 0, by: "command", file: "1" },
		]);
		await cli("gateway", "weight", "dns", "b3", "--reset");
		await serve("b1", "b2", "b3");
	});

	test("R31: a backend that stops drains first: no packet is lost, and what is left at the deadline moves", async () => {
		const load = await startLoad();
		const before = await load.mark();
		const answer = JSON.parse(await cli("b1", "stop", "--deadline", "2s"));
		expect(answer).toMatchObject({ role: "backend", name: "b1", kept: false });
		expect(answer.drained.ms).toBeGreaterThanOrEqual(2000);
		expect(answer.drained.sessions).toBeGreaterThan(0);
		const stopped = await load.mark();
		const report = await load.end();
		expectWhole(report);
		const were = report.flows.filter((flow) => backendsOf(flow, 0, before).includes("b1"));
		expect(were.length).toBeGreaterThan(0);
		for (const flow of were) expect(backendsOf(flow, stopped).join()).toMatch(/^b[23]$/);
		expect(await cluster.daemons.get("b1")?.ended).toBe(0);
		await cluster.startOne("b1");
		expect((await cluster.status("b1")).overrides, "the stop's drain is not kept").toEqual([]);
		await serve("b1", "b2", "b3");
		expect(JSON.parse(await cli("b1", "stop", "--now")).drained).toBeNull();
	});
});
