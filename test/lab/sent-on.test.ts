// sent-on.test.ts - a backend drains before its gateway knows: new flows are forwarded to another backend, known ones stay.

import { describe, expect, test } from "vitest";
import { type Cluster, ENGINES, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab } from "./lab.js";

const CLIENT = addresses.client.ipv4[2];
const VIP = "203.0.113.53";
const B1 = /(b1: \{ address: \[10\.77\.11\.2, "fd77:11::2"\], interface: eth0)( \})/;

describe.skipIf(!isRoot).each(ENGINES)("a backend that is draining, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	test("R8 R9: it serves the sessions that it has, and sends new ones on to another backend, over UDP and TCP, before the gateway knows", async () => {
		const ports = Array.from({ length: 24 }, (_, i) => 20_000 + i);
		const first = new Map<number, string>();
		for (const port of ports) first.set(port, await whoAnswers(lab, `${CLIENT}#${port}`, VIP));
		const its = ports.filter((port) => first.get(port) === "b1");
		expect(its.length).toBeGreaterThan(1);

		await cluster.change(B1, "$1, state: draining$2", ["b1"]);
		for (const port of its.slice(0, 3)) expect(await whoAnswers(lab, `${CLIENT}#${port}`, VIP)).toBe("b1");
		const later = await Promise.all(ports.map((port) => whoAnswers(lab, `${CLIENT}#${port + 1000}`, VIP)));
		const tcp = await Promise.all(
			ports.slice(0, 12).map((port) => whoAnswers(lab, `${CLIENT}#${port + 2000}`, VIP, ["+tcp"])),
		);
		expect([...later, ...tcp].filter((who) => who !== "b2" && who !== "b3")).toEqual([]);
		const { forwarded_on = 0 } = await cluster.reasons("b1");
		expect(forwarded_on, "by this backend, not by the gateway").toBeGreaterThan(3);
		const received = await Promise.all((["b2", "b3"] as const).map((host) => cluster.reasons(host)));
		expect(received.reduce((sum, { delivered = 0 }) => sum + delivered, 0)).toBeGreaterThan(24);
	});
});
