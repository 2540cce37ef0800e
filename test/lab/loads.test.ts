// loads.test.ts - choosing by load in a running cluster: sessions counted by the sweep, published, and chosen by.

import { describe, expect, test } from "vitest";
import { type Cluster, DNS_DEFAULT, ENGINES, labConfig, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const nine = addresses.client.ipv4[2]; // no rule of the service names it
const VIP = "203.0.113.53";
const ALL = "    backends: [b1, b2, b3] # default";
const ONE = "    backends: [b1] # default";

describe.skipIf(!isRoot).each(ENGINES)("choosing by load, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	const config = labConfig(
		["sessions: {", "sessions: { check: 100ms,"],
		["    idle: 10s\n", "    idle: 1m\n    choose: least-load\n"],
		[DNS_DEFAULT, ONE],
	);
	useCluster({ config, engine }, (running) => {
		({ lab, cluster } = running);
	});

	const sessions = async () => {
		const { services } = await cluster.status("gateway");
		const dns = services.find(({ address, protocol }) => address === VIP && protocol === "udp");
		// b1 and b2 are also in rules, on other terms or ports, which receive no packets here.
		return Object.fromEntries(
			dns?.targets.filter(({ sessions, share }) => sessions > 0 || share > 0).map((t) => [t.backend, t.sessions]) ?? [],
		);
	};
	const ask = async (firstPort: number, count: number) => {
		const answered: Record<string, number> = {};
		for (let i = 0; i < count; i++) {
			const who = await whoAnswers(lab, `${nine}#${firstPort + i}`, VIP);
			answered[who] = (answered[who] ?? 0) + 1;
		}
		return answered;
	};
	const epoch = async () => (await cluster.status("gateway")).epoch;
	const quiet = async () => {
		const before = await epoch();
		await new Promise((resolve) => setTimeout(resolve, 1000));
		return (await epoch()) === before;
	};

	test("R18: a backend with sessions from before gets few new ones, until the others have caught up", async () => {
		expect(await quiet(), "without sessions nothing is published").toBe(true);
		expect(await ask(4000, 20)).toEqual({ b1: 20 });
		await until("the sessions to be counted", async () => (await sessions()).b1 === 20);
		await cluster.change(ONE, ALL);

		// Both rows are b1's for a ninth of all flows; by one row, a third would be.
		const { b1 = 0, b2 = 0, b3 = 0 } = await ask(5000, 27);
		expect(b1).toBeLessThanOrEqual(5);
		expect(Math.min(b2, b3)).toBeGreaterThanOrEqual(7);
		await until("all of them to be counted", async () => {
			const now = await sessions();
			return now.b1 === 20 + b1 && now.b2 === b2 && now.b3 === b3;
		});
	});

	test("loads that stand still publish nothing", async () => {
		await until("the last publication", quiet);
	});

	test("explain names the two rows and their loads, and the flow goes to the less loaded", async () => {
		const ports = Array.from({ length: 16 }, (_, i) => 6000 + i);
		let weighedTwo = 0;
		for (const sourcePort of ports) {
			const { why, weighed, target } = await cluster.api("gateway").explain({
				source: nine,
				sourcePort,
				destination: VIP,
				destinationPort: 53,
				protocol: "udp",
			});
			const [winner, loser] = weighed!;
			expect(winner!.load).toBeLessThanOrEqual(loser!.load);
			expect(winner!.target).toBe(`${target?.backend} at ${target?.address}:53`);
			if (winner!.load === loser!.load) continue;
			weighedTwo++;
			expect(why.join(" ")).toMatch(
				/By its 5-tuple it has rows \d+ \(b\d at [\d.]+:53, load [\d.]+ %\) and \d+ \(b\d at [\d.]+:53, load [\d.]+ %\), of \d+: the smaller load wins\./,
			);
		}
		expect(weighedTwo).toBeGreaterThan(0);
	});
});
