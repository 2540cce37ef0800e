// pktgen.test.ts - R30: load from pktgen (the kernel's, or its stand-in where there is none), and tcpdump as the witness.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Cluster, decode, ENGINES, useCluster } from "./cluster.js";
import { isRoot, type Lab, root, until } from "./lab.js";

const COUNT = 5_000;
const FLOWS = 500;

describe.skipIf(!isRoot).each(ENGINES)("load, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine, services: false }, (running) => {
		({ lab, cluster } = running);
	});

	test("R27 R30: every packet of pktgen's is rerouted, each flow to one backend, as tcpdump sees it", async () => {
		const capture = await lab.capture("router", "gateway", "udp dst port 6081", { snaplen: 160 });
		const router = await lab.text("client", ["ip", "-json", "neighbour", "show", "198.51.100.1"]);
		await lab.run("client", ["ping", "-c", "1", "-W", "2", "198.51.100.1"]);
		const mac = JSON.parse(
			router.length > 2 ? router : await lab.text("client", ["ip", "-json", "neighbour", "show", "198.51.100.1"]),
		)[0].lladdr;
		// biome-ignore format: one option per line would hide the command
		const said = await lab.text("client", [
			join(root, "scripts/pktgen"), "-i", "eth0", "-m", mac, "-s", "198.51.100.9", "-d", "203.0.113.53", "-p", "53",
			"-n", String(COUNT), "-f", String(FLOWS), "-r", "20000",
		], { timeoutMs: 30_000 });
		const { sent } = JSON.parse(said.split("\n").at(-1) ?? "{}");
		expect(sent).toBe(COUNT);
		// Closed ports of the backends are answered by ICMP to a client that has no sockets: only UDP counts.
		const tunnelled = () =>
			capture.packets().flatMap((packet) => {
				const outer = decode(packet).ip;
				const inner = outer?.udp?.geneve?.inner;
				return inner?.protocol === 17
					? [{ to: outer?.destination, port: packet.bytes.readUInt16BE(14 + 72 + 20), source: inner.source }]
					: [];
			});
		await until("tcpdump to see them all", () => tunnelled().length >= COUNT, 15_000);
		await capture.stop();
		const packets = tunnelled();
		expect(packets).toHaveLength(COUNT);
		const backends = new Map<string, Set<string | undefined>>();
		for (const { source, port, to } of packets) {
			const flow = `${source}:${port}`;
			backends.set(flow, (backends.get(flow) ?? new Set()).add(to));
		}
		expect(backends.size).toBe(FLOWS);
		for (const [flow, targets] of backends) expect(targets.size, flow).toBe(1);
		const status = await cluster.status("gateway");
		expect(status.conserved).toBe(true);
		expect(status.workers[0]?.captureDrops).toBe(0);
	});
});
