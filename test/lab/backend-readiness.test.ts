// backend-readiness.test.ts - a backend's state for redirected clients beside its tables: next hops of the other backends while
// it drains, and a kernel that accepts no uninvited packet before the engine has checked it.

import { describe, expect, test } from "vitest";
import { type Cluster, ENGINES, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab } from "./lab.js";

const [seven] = addresses.client.ipv4;
const [seven6] = addresses.client.ipv6;
const VIP = "203.0.113.53";
const VIP6 = "2001:db8:53::53";

describe.skipIf(!isRoot).each(ENGINES)("what a backend has ready, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	/** Backends whose next hop b3 knows, of the services of both families. */
	const known = async () => {
		const { services } = await cluster.status("b3");
		const targets = services.flatMap((service) => service.targets);
		return [...new Set(targets.filter((target) => target.nextHop !== null).map((target) => target.address))].sort();
	};

	test("a backend that drains knows the ways to the others at once, and one that serves asks for none; it complains of nothing", async () => {
		const b3 = /(b3: \{ address: [^}]*interface: eth0) \}/;
		expect(await known()).toEqual([]);
		await cluster.change(b3, "$1, state: draining }", ["b3"]);
		const others = [addresses.b1, addresses.b2].flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
		expect(await known()).toEqual(others.sort());
		await cluster.change(", state: draining", "", ["b3"]);
		expect(await known()).toEqual([]);
		expect(cluster.daemons.get("b3")?.stdout).not.toMatch(/next-hop|warning/);
	});

	test("R22: uninvited packets straight to a backend are not served, those of the gateway are, and other services stay open", async () => {
		const dns = /( {4}port: 53\n)/;
		expect(await whoAnswers(lab, seven, addresses.b1.ipv4)).toBe("b1");
		await cluster.change(dns, "$1    uninvited: drop\n", ["b1"]);
		for (const [from, straight, service] of [
			[seven, addresses.b1.ipv4, VIP],
			[seven6, addresses.b1.ipv6, VIP6],
		] as const) {
			for (const protocol of [[], ["+tcp"]]) {
				await expect(whoAnswers(lab, from, straight, protocol)).rejects.toThrow(/no servers could be reached/);
				expect(await whoAnswers(lab, from, service, protocol)).toBe("b1");
			}
		}
		const web = await lab.text("client", ["curl", "-s", "-i", "--interface", seven, `http://${addresses.b1.ipv4}/`]);
		expect(web).toMatch(/^Served-By: b1\r?$/m);
		await cluster.change("    uninvited: drop\n", "", ["b1"]);
		expect(await whoAnswers(lab, seven, addresses.b1.ipv4)).toBe("b1");
	});
});
