// engines.test.ts - which engine a daemon selects and reports, and that it replaces no program of others.

import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CLI, Cluster, decode, forge, traces, whoAnswers } from "./cluster.js";
import { addresses, isRoot, Lab, root } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const VIP6 = "2001:db8:53::53";
const PASS = join(root, "build/bpf/pass.bpf.o");

describe.skipIf(!isRoot)("engines", () => {
	let lab: Lab;
	let cluster: Cluster | undefined;

	beforeAll(async () => {
		lab = await Lab.up({ services: true });
	});
	afterEach(async () => cluster?.stop());
	afterAll(async () => lab?.down());

	/** The error of a gateway that can't start. */
	const refusal = async (mode: string) => {
		const refused = await Cluster.start(lab, { members: [], engine: mode as never });
		// biome-ignore format: one option per line would hide the command
		return lab.run("gateway", [
			process.execPath, CLI, "gateway", "--config", refused.config, "--name", "g1", "--socket", refused.socket("gateway"), "--json",
		], { mayFail: true, timeoutMs: 20_000 });
	};
	test("R27 R29: auto takes XDP in the driver where it can, and says so, engine native", async () => {
		cluster = await Cluster.start(lab);
		const { engine } = await cluster.status("gateway");
		expect(engine).toEqual({
			mode: "native",
			capture: "xdp",
			why: "auto: fastest engine",
			outlivesDaemon: true,
			adopted: false,
		});
		expect((await cluster.status("b1")).engine.mode).toBe("native");
		expect(await lab.text("gateway", ["ip", "link", "show", "eth0"])).toMatch(/prog\/xdp id \d+ name shunt_xdp/);
		await cluster.stop();
		for (const host of ["gateway", "b1", "b2", "b3"] as const) expect(await traces(lab, host), host).toEqual([]);
	});

	test("R1 R3: generic XDP reroutes, delivers and drops, UDP and TCP, IPv4 and IPv6, engine generic", async () => {
		cluster = await Cluster.start(lab, { engine: "generic" });
		const capture = await cluster.link("gateway", "udp port 6081");
		for (const [client, service] of [
			[seven, VIP],
			[addresses.client.ipv6[0], VIP6],
		] as const)
			for (const options of [[], ["+tcp"]]) expect(await whoAnswers(lab, client, service, options)).toBe("b1");
		expect(await whoAnswers(lab, eight, VIP)).toBe("b2"); // at another port
		expect((await cluster.status("gateway")).engine).toMatchObject({ mode: "generic", why: "as configured" });
		const tunnelled = await capture.stop();
		expect(tunnelled.length).toBeGreaterThan(8);
		for (const packet of tunnelled) expect(decode(packet).ip?.udp?.geneve?.tagRight).toBe(true);
		expect((await cluster.reasons("b1")).delivered).toBeGreaterThan(8);

		// Reasons to drop, at a backend and at the gateway.
		expect(await forge(cluster, seven, VIP)).toEqual([]);
		await cluster.change(/(b\d: \{ address: [^}]*interface: eth0) \}/g, "$1, state: inactive }");
		const refused = await lab.run("client", ["dig", "+tries=1", "+time=1", "-b", seven, `@${VIP}`, "whoami.lab"], {
			mayFail: true,
		});
		expect(refused.status).not.toBe(0);
		expect((await cluster.reasons("gateway")).refused).toBeGreaterThan(0);
		await cluster.stop();
	});

	test("a driver that takes no frames from XDP: auto settles for generic XDP, native is refused, and nothing stays behind", async () => {
		await lab.run("router", ["ip", "link", "set", "dev", "gateway", "xdp", "off"]);
		try {
			cluster = await Cluster.start(lab);
			const { engine } = await cluster.status("gateway");
			expect(engine.mode).toBe("generic");
			expect(engine.why).toBe("auto: not native XDP, eth0 does not accept redirected XDP frames (ndo_xdp_xmit)");
			expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
			await cluster.stop();
			const { status, stderr } = await refusal("native");
			expect(status).toBe(3);
			expect(JSON.parse(stderr).error.code).toBe("SHUNT_XDP_NO_TRANSMIT");
			expect(JSON.parse(stderr).error.message).toBe("eth0 does not accept redirected XDP frames (ndo_xdp_xmit).");
			expect(await traces(lab, "gateway")).toEqual([]);
		} finally {
			await lab.run("router", ["ip", "link", "set", "dev", "gateway", "xdp", "object", PASS, "section", "xdp.frags"]);
		}
	});

	test("an occupied XDP hook stays with its program: auto falls back to user space and names it, other modes refuse to start", async () => {
		await lab.run("gateway", ["ip", "link", "set", "dev", "eth0", "xdp", "object", PASS, "section", "xdp.frags"]);
		const holder = async () =>
			/prog\/xdp id \d+ name shunt_pass/.exec(await lab.text("gateway", ["ip", "link", "show", "eth0"]))?.[0];
		const his = await holder();
		expect(his).toBeDefined();
		const held = /the XDP hook of eth0 is held by program shunt_pass \(id \d+\)/;
		try {
			cluster = await Cluster.start(lab);
			const { engine } = await cluster.status("gateway");
			expect(engine.mode).toBe("user");
			expect(engine.why).toMatch(held);
			expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
			await cluster.stop();
			for (const mode of ["native", "generic"]) {
				const { status, stderr } = await refusal(mode);
				expect(status).not.toBe(0);
				expect(stderr).toMatch(held);
			}
			expect(await holder(), "the very same program").toBe(his);
			expect(await traces(lab, "gateway")).toEqual([]);
		} finally {
			await lab.run("gateway", ["ip", "link", "set", "dev", "eth0", "xdp", "off"]);
		}
	});
});
