// epochs.test.ts - a backend becomes inactive under load: its sessions choose anew at their next packets, all others stay.

import { describe, expect, test } from "vitest";
import { type Cluster, ENGINES, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab } from "./lab.js";
import { backendsOf, DnsLoad, expectWhole } from "./load.js";

const FLOWS = 30;

describe.skipIf(!isRoot).each(ENGINES)("a backend that goes, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	// Sources that no rule names: they are spread over all three.
	for (const { family, from, server } of [
		{ family: "IPv4", from: addresses.client.ipv4[2], server: "203.0.113.53" },
		{ family: "IPv6", from: addresses.client.ipv6[2], server: "2001:db8:53::53" },
	])
		test(`R2 R9: ${family}: of sessions under load, a draining backend keeps its own, an inactive one's move at their next packet, the others stay, and none is lost`, async () => {
			const b3 = /(b3: \{ address: [^}]*interface: eth0) \}/;
			const moved = async () => (await cluster.reasons("gateway")).forwarded_moved ?? 0;
			const movedBefore = await moved();
			const load = await DnsLoad.start(lab, { from, server, firstPort: 5000, flows: FLOWS });
			await cluster.change(b3, "$1, state: draining }");
			const draining = await load.mark();
			await cluster.change("state: draining", "state: inactive");
			const inactive = await load.mark();
			await cluster.change(", state: inactive", "");
			const back = await load.mark();
			const report = await load.end();

			expectWhole(report);
			const first = new Map(report.flows.map((flow) => [flow.port, backendsOf(flow, 0, draining)]));
			expect([...new Set([...first.values()].flat())].sort()).toEqual(["b1", "b2", "b3"]);
			for (const flow of report.flows) {
				const [own, ...others] = first.get(flow.port) as string[];
				expect(others, "one backend until it goes").toEqual([]);
				const after = backendsOf(flow, inactive);
				expect(after, `flow ${flow.port} stays at one backend, also when b3 is back`).toHaveLength(1);
				if (own === "b3") expect(after).not.toEqual(["b3"]);
				else expect(backendsOf(flow), `flow ${flow.port} is not b3's`).toEqual([own]);
			}
			expect(back).toBeGreaterThan(inactive);
			const gone = [...first.values()].filter(([own]) => own === "b3").length;
			expect((await moved()) - movedBefore, "one packet of each of b3's sessions chose anew").toBe(gone);
			const status = await cluster.status("gateway");
			expect(status.conserved).toBe(true);
			expect(status.reasons.filter(({ verdict }) => verdict === "drop")).toEqual([]);
		});
});
