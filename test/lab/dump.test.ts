// dump.test.ts - capture despite XDP: packets before and after the packet program, which tcpdump on the host does not see.

import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLI, type Cluster, LAB_CONFIG, type MemberHost, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const VIP = "203.0.113.53";

interface Line {
	verdict: string;
	reason: string;
	flow: { source: string; destination: string } | null;
	before: { length: number; ip?: { udp?: { geneve?: object } } };
	after: { tag?: string; ip?: { udp?: { geneve?: { inner?: { source: string } } } } } | null;
}

describe.skipIf(!isRoot)("shunt dump where XDP has the packets", () => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine: "native" }, (running) => {
		({ lab, cluster } = running);
	});

	const dump = async (host: MemberHost, ...options: string[]) => {
		const program = lab.start(host, [process.execPath, CLI, "dump", "-i", "eth0", "--config", LAB_CONFIG, ...options]);
		if (options.includes("--json"))
			await until("the capture to stand", async () => (await programOf(host)) !== "shunt_xdp" || (await probes()) > 0);
		else await program.saysOnStderr(/runs Shunt's XDP program/);
		return program;
	};
	/** A capture is either a pair of probes or a copy of the program in its place; which, the kernel decides. */
	const programOf = async (host: MemberHost) =>
		/prog\/xdp id \d+ name (\S+)/.exec(await lab.text(host, ["ip", "link", "show", "eth0"]))?.[1];
	const probes = async () => {
		const links = await lab.text("gateway", ["bpftool", "--json", "link", "show"]);
		return (JSON.parse(links || "[]") as { attach_type?: string }[]).filter((one) =>
			/trace_f(entry|exit)/.test(one.attach_type ?? ""),
		).length;
	};
	const lines = (text: string) =>
		text
			.trim()
			.split("\n")
			.filter(Boolean)
			.map((line) => JSON.parse(line) as Line);

	test("every packet before and after, with verdict and reason: forwarded, passed, dropped; on a backend, delivered", async () => {
		const at = await dump("gateway", "--json");
		const behind = await dump("b1", "--json", "--verdict", "pass", "drop", "--protocol", "udp");
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
		await lab.run("client", ["ping", "-c", "1", "-W", "2", addresses.gateway.ipv4]);
		// From port 0, which cannot be answered.
		// biome-ignore format: one argument per line would hide the command
		await lab.run("client", [process.execPath, join(import.meta.dirname, "witness-raw.mjs"), VIP, "53", "0", "1", "00".repeat(20)]);
		const found = await until("the three of them", () => {
			const all = lines(at.stdout);
			const by = (reason: string) => all.find((one) => one.reason === reason);
			return (
				by("forwarded_new") &&
				by("not_service") &&
				by("bad_source") && { forwarded: by("forwarded_new"), passed: by("not_service"), dropped: by("bad_source") }
			);
		});
		expect(found.forwarded).toMatchObject({
			verdict: "forward",
			flow: { source: expect.stringContaining(seven), destination: `${VIP}:53` },
		});
		expect(found.forwarded?.before.ip?.udp?.geneve).toBeUndefined();
		expect(found.forwarded?.after).toMatchObject({ tag: "ok", ip: { udp: { geneve: { inner: { source: seven } } } } });
		expect(found.passed).toMatchObject({ verdict: "pass" });
		expect(found.dropped).toMatchObject({ verdict: "drop", after: null });
		const delivered = await until("the delivered one", () =>
			lines(behind.stdout).find((one) => one.reason === "delivered"),
		);
		expect(delivered).toMatchObject({
			verdict: "pass",
			flow: { destination: `${VIP}:53` },
			before: { ip: { udp: { geneve: {} } } },
		});
		await Promise.all([at.stop("SIGINT"), behind.stop("SIGINT")]);
	});

	test("packets are chosen by their inner flow, on a backend too, and written as pcapng that tshark reads with verdicts", async () => {
		const file = join(lab.directory, "flow.pcapng");
		const program = await dump(
			"b2",
			"--source",
			eight,
			"--source-port",
			"4777",
			"--protocol",
			"udp",
			"-w",
			file,
			"-c",
			"2",
		);
		for (const port of [4776, 4777, 4778]) expect(await whoAnswers(lab, `${eight}#${port}`, VIP)).toBe("b2");
		expect(await whoAnswers(lab, `${eight}#4777`, VIP)).toBe("b2");
		expect(await program.ended).toBe(0);
		// biome-ignore format: one option per line would hide the command
		const read = await lab.text("client", [
			"tshark", "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "udp.srcport",
		]);
		const rows = read.split("\n").map((line) => line.split("\t"));
		expect(rows).toHaveLength(4); // two packets, before and after
		for (const [i, [name, , comment, ports]] of rows.entries()) {
			expect(name).toBe(i % 2 ? "eth0 after" : "eth0");
			expect(comment).toBe("verdict pass, reason delivered, target 65535");
			expect(ports?.split(",").at(-1)).toBe("4777");
		}
	});

	test("the cap holds, and what it leaves out is counted", async () => {
		const program = await dump("gateway", "--rate", "10", "--protocol", "udp");
		// biome-ignore format: one argument per line would hide the command
		await lab.run("client", [
			process.execPath, join(import.meta.dirname, "witness-raw.mjs"), VIP, "53", "4900", "3000", "00".repeat(20), "2000",
		], { timeoutMs: 20_000 });
		await program.stop("SIGINT");
		const shown = program.stdout.split("\n").filter((line) => line.includes("[")).length;
		expect(shown).toBeGreaterThan(0);
		expect(shown).toBeLessThan(60); // 1.5 s, and a burst
		const [, matched, suppressed] =
			/(\d[\d,]*) of [\d,]+ packets matched; (\d[\d,]*) above the rate limit/.exec(program.stderr) ?? [];
		const plain = (text = "") => Number(text.replaceAll(",", ""));
		expect(plain(matched)).toBeGreaterThanOrEqual(3000);
		expect(plain(suppressed)).toBeGreaterThan(2900);
	});

	test("nothing is lost when a capture begins and ends under load, and nothing of it stays: no cost while off", async () => {
		const before = await cluster.reasons("gateway");
		const arrived = await cluster.delivered("b1", "udp dst port 53 and src port 4950", { snaplen: 60 });
		// biome-ignore format: one argument per line would hide the command
		const sender = lab.start("client", [
			process.execPath, join(import.meta.dirname, "witness-raw.mjs"), VIP, "53", "4950", "30000", "00".repeat(20), "5000",
		]);
		await until("the load to flow", () => arrived.packets().length > 500);
		const program = await dump("gateway", "--verdict", "drop");
		await program.stop("SIGINT");
		expect(sender.running).toBe(true);
		expect(await sender.ended).toBe(0);
		await arrived.atLeast(30_000, 10_000);
		const numbers = new Set((await arrived.stop()).map((packet) => packet.bytes.readUInt32BE(14 + 28)));
		expect(numbers.size).toBe(30_000);
		const after = await cluster.reasons("gateway");
		expect((after.forwarded ?? 0) - (before.forwarded ?? 0)).toBeGreaterThanOrEqual(29_999);
		expect(await programOf("gateway")).toBe("shunt_xdp");
		expect(await probes()).toBe(0);
		expect(await lab.text("gateway", ["bpftool", "prog", "list"])).not.toMatch(/name (shunt_stand_in|sh_dump|sh_tap)/);
	});

	test("options that don't fit the engine are refused with a sentence", async () => {
		const run = (host: MemberHost | "client", ...options: string[]) =>
			lab.run(host, [process.execPath, CLI, "dump", "-i", "eth0", ...options], { mayFail: true });
		const filtered = await run("gateway", "--filter", "udp");
		expect(filtered.status).toBe(2);
		expect(filtered.stderr).toContain("use --protocol, --source");
		const flow = await run("client", "--source-port", "53");
		expect(flow.status).toBe(2);
		expect(flow.stderr).toContain("--source-port needs an interface that runs Shunt's XDP program");
		expect((await run("gateway", "--reason", "forwarted")).stderr).toContain('--reason: "forwarted" is not a reason');
		expect((await run("gateway", "--source", "1.2.3")).status).toBe(2);
	});
});
