// restart.test.ts - daemons that are killed, handed over and upgraded under load, while the kernel goes on.
//
// The load is numbered datagrams, captured by tcpdump behind the backend's engine: a number that is missing was lost.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLI, Cluster, type MemberHost, whoAnswers } from "./cluster.js";
import { addresses, isRoot, Lab, type LabProcess, until } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const COUNT = 25_000;
const PPS = 5000;

describe.skipIf(!isRoot)("the kernel's engine outlives its daemon", () => {
	let lab: Lab;
	let cluster: Cluster;
	let port = 5000;

	beforeAll(async () => {
		lab = await Lab.up({ services: true });
		cluster = await Cluster.start(lab, { engine: "native" });
	});
	afterAll(async () => {
		await cluster?.stop();
		await lab?.down();
	});

	/** Runs `disturb` while numbered datagrams go to b1 (a rule names the client), and returns how many numbers arrived. */
	async function underLoad(disturb: (sender: LabProcess) => Promise<void>): Promise<number> {
		port++;
		const arrived = await cluster.delivered("b1", `udp dst port 53 and src port ${port}`, { snaplen: 60 });
		// biome-ignore format: one argument per line would hide the command
		const sender = lab.start("client", [
			process.execPath, join(import.meta.dirname, "witness-raw.mjs"), VIP, "53", String(port), String(COUNT), "00".repeat(20), String(PPS),
		]);
		await until("the load to flow", () => arrived.packets().length > 500);
		await disturb(sender);
		expect(sender.running, "the load must go on to the end of the disturbance").toBe(true);
		expect(await sender.ended).toBe(0);
		await until("the last datagrams", () => arrived.packets().length >= COUNT, 5000).catch(() => {});
		const packets = await arrived.stop();
		return new Set(packets.map((packet) => packet.bytes.readUInt32BE(14 + 28))).size;
	}

	const sessionsOf = async (host: MemberHost) =>
		(await cluster.api(host).sessions({ source: seven })).sessions.filter((one) => one.sourcePort === port);

	test("R9 R29: the gateway's daemon is killed and started again: not one packet is lost, the session stays", async () => {
		let epoch = 0;
		const numbers = await underLoad(async () => {
			epoch = (await cluster.status("gateway")).epoch;
			await cluster.daemons.get("gateway")?.stop("SIGKILL");
			expect(await whoAnswers(lab, eight, VIP)).toBe("b2"); // nobody is there but the kernel
			await cluster.startOne("gateway");
			const [session] = await sessionsOf("gateway");
			expect(session).toMatchObject({ backend: "b1", proven: true });
		});
		expect(numbers).toBe(COUNT);
		const status = await cluster.status("gateway");
		expect(status.engine).toMatchObject({ mode: "native", adopted: true });
		expect(status.epoch).toBeGreaterThan(epoch);
		expect(status.in.packets).toBeGreaterThanOrEqual(COUNT); // counters went on
		expect(status.reasons.filter(({ verdict }) => verdict === "drop")).toEqual([]);
		expect(status.lost).toBe(0);
	});

	test("R29: shunt stop --keep and a new daemon with a larger table and another service: not one packet is lost", async () => {
		const numbers = await underLoad(async () => {
			// biome-ignore format: one option per line would hide the command
			await lab.run("gateway", [process.execPath, CLI, "stop", "--keep", "--socket", cluster.socket("gateway")]);
			const { readFileSync } = await import("node:fs");
			cluster.write(
				readFileSync(cluster.config, "utf8")
					.replace(/capacity: \d+/, "capacity: 400000")
					.replace(
						"\nservices:\n",
						"\nservices:\n  another: { address: 203.0.113.99, port: 9, protocol: udp, backends: [b1] }\n",
					),
			);
			await cluster.startOne("gateway");
			const [session] = await sessionsOf("gateway");
			expect(session).toMatchObject({ backend: "b1", proven: true });
		});
		expect(numbers).toBe(COUNT);
		const status = await cluster.status("gateway");
		expect(status.engine.adopted).toBe(true);
		expect(status.sessions.capacity).toBeGreaterThan(400_000);
		expect(status.services.map(({ name }) => name)).toContain("another");
	});

	test("R3 R9: a backend's daemon is killed and started again: not one packet is lost, and answers of another port are turned back", async () => {
		const numbers = await underLoad(async () => {
			await cluster.daemons.get("b1")?.stop("SIGKILL");
			await cluster.daemons.get("b2")?.stop("SIGKILL");
			expect(await whoAnswers(lab, `${seven}#4444`, VIP)).toBe("b1");
			expect(await whoAnswers(lab, eight, VIP)).toBe("b2"); // at port 5353, answered from 53
			await Promise.all([cluster.startOne("b1"), cluster.startOne("b2")]);
			expect(await sessionsOf("b1")).toHaveLength(1);
		});
		expect(numbers).toBe(COUNT);
		expect((await cluster.status("b1")).engine.adopted).toBe(true);
		expect(await whoAnswers(lab, eight, VIP)).toBe("b2");
	});

	test("R9: a backend that went while no gateway's daemon was there gets no packet of its sessions once it is back", async () => {
		const nine = `${addresses.client.ipv4[2]}#4700`;
		const first = await whoAnswers(lab, nine, VIP);
		await cluster.daemons.get("gateway")?.stop("SIGKILL");
		const { readFileSync } = await import("node:fs");
		const line = new RegExp(`(${first}: \\{ address: [^}]*interface: eth0) \\}`);
		cluster.write(readFileSync(cluster.config, "utf8").replace(line, "$1, state: inactive }"));
		expect(await whoAnswers(lab, nine, VIP)).toBe(first); // by the old tables
		await cluster.startOne("gateway");
		expect(await whoAnswers(lab, nine, VIP)).not.toBe(first);
		expect((await cluster.reasons("gateway")).forwarded_moved).toBeGreaterThan(0);
	});

	test("a clean end leaves nothing of it: no pin, no program, no rule, no address, no file", async () => {
		await cluster.stop();
		for (const host of ["gateway", "b1", "b2"] as const) {
			expect(await lab.text(host, ["ip", "link", "show", "eth0"])).not.toMatch(/xdp/);
			expect(await lab.text(host, ["nft", "list", "ruleset"])).toBe("");
			expect(await lab.text(host, ["ip", "-brief", "address"])).not.toMatch(/203\.0\.113|2001:db8:53/);
			const namespace = /\[(\d+)\]/.exec(await lab.text(host, ["readlink", "/proc/self/ns/net"]))?.[1] as string;
			const named = (folder: string) =>
				existsSync(folder) ? readdirSync(folder).filter((name) => name.includes(namespace)) : [];
			expect(named("/run/shunt/bpf")).toEqual([]);
			expect(named("/run/shunt")).toEqual([]);
		}
	});
});
