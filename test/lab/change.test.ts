// change.test.ts - another engine than the one that a killed daemon has left at work: it goes once the new one serves.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Cluster, type Engine, traces, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";
import { DnsLoad, expectWhole } from "./load.js";

const [seven, , nine] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const CHANGED = ["gateway", "b1"] as const;

describe.skipIf(!isRoot)("another engine after a kill", () => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine: "native" }, (running) => {
		({ lab, cluster } = running);
	});

	const change = async (mode: Engine) => {
		await Promise.all(CHANGED.map((host) => cluster.daemons.get(host)?.stop("SIGKILL")));
		cluster.write(readFileSync(cluster.config, "utf8").replace(/mode: \w+/, `mode: ${mode}`));
		await Promise.all(CHANGED.map((host) => cluster.startOne(host)));
	};

	// A driver that is no longer to run XDP sets its receive queue up anew, and drops what lies there just then (veth:
	// veth_napi_del, which empties the ring). That is not ours to prevent; more than that is.
	test("R27 R29: user space takes the place of a killed daemon's XDP, and no packet is lost but what the driver's queue held, engines native and user", async () => {
		const load = await DnsLoad.start(lab, { from: nine, server: VIP, firstPort: 5000, flows: 30 });
		await change("user");
		const from = await load.mark();
		const counted = (await cluster.status("gateway")).in.packets;
		const report = await load.end(2000);
		expect(report.lost.length, "at most one on each host").toBeLessThanOrEqual(CHANGED.length);
		expectWhole({ ...report, lost: [] });
		expect((await cluster.status("gateway")).in.packets - counted, "it sees them all").toBeGreaterThan(1500);
		expect(report.sent).toBeGreaterThan(from);
		for (const host of CHANGED) {
			const { engine } = await cluster.status(host);
			expect(engine).toMatchObject({ mode: "user", adopted: false });
			await until(`the program on ${host} to go`, async () => !/xdp/.test((await traces(lab, host)).join()));
			expect((await traces(lab, host)).join()).not.toMatch(/shunt-|\.tables/);
		}
		expect(await lab.text("b1", ["ip", "-brief", "address", "show", "dev", "lo"])).not.toMatch(/203\.0\.113/);
	});

	test("R29: XDP takes the place of a killed daemon's user space, generic that of native, and sessions stay between these, engines native and generic", async () => {
		await change("native");
		expect(await whoAnswers(lab, `${seven}#4444`, VIP)).toBe("b1");
		expect((await cluster.status("gateway")).engine).toMatchObject({ mode: "native", adopted: false });
		await change("generic");
		for (const host of CHANGED) {
			expect((await cluster.status(host)).engine).toMatchObject({ mode: "generic", adopted: true });
			const { sessions } = await cluster.api(host).sessions({ source: seven });
			expect(sessions.map(({ sourcePort }) => sourcePort)).toContain(4444);
		}
		expect(await whoAnswers(lab, `${seven}#4444`, VIP)).toBe("b1");
	});

	test("R29: a clean end then leaves nothing of either, engines native and user", async () => {
		await change("user");
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
		await cluster.stop();
		for (const host of ["gateway", "b1", "b2"] as const)
			await until(`nothing on ${host}`, async () => (await traces(lab, host)).length === 0).catch(async () =>
				expect(await traces(lab, host), host).toEqual([]),
			);
	});
});
