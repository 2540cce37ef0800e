// topology.test.ts - the lab itself: who reaches whom, on what MTU, past whom, and that nothing of it stays.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addresses, type CommandResult, type Host, isRoot, Lab, until } from "./lab.js";

const backends = ["b1", "b2", "b3"] as const;

describe.skipIf(!isRoot)("the lab", () => {
	let lab: Lab;
	beforeAll(async () => {
		lab = await Lab.up({ services: true });
	});
	afterAll(async () => {
		await lab?.down();
	});

	test.each(backends)("%s is reached over both families, from every address of the client", async (host) => {
		for (const family of ["ipv4", "ipv6"] as const) {
			for (const source of addresses.client[family]) {
				expect(await whoami(lab, source, addresses[host][family]), source).toBe(host);
			}
		}
	});

	test.each(backends)("%s serves TCP on both ports and sees the client's own address", async (host) => {
		for (const target of [addresses[host].ipv4, `[${addresses[host].ipv6}]`]) {
			for (const port of [80, 8080]) {
				const answer = await lab.text("client", ["curl", "-gsSi", "--max-time", "3", `http://${target}:${port}/`]);
				expect(answer).toContain("HTTP/1.1 200");
				expect(answer.split(/\r?\n/).at(-1)).toBe(host);
				expect(answer).toMatch(/Seen-Client: (198\.51\.100\.7|2001:db8:100::7) /);
			}
		}
	});

	test("a packet to a service's address reaches the gateway, which does not answer for it", async () => {
		const capture = await lab.capture("gateway", "eth0", "udp port 53");
		for (const vip of ["203.0.113.53", "2001:db8:53::53"]) {
			const source = vip.includes(":") ? "2001:db8:100::8" : "198.51.100.8";
			const answer = await dig(lab, ["+tries=1", "+time=1", "-b", source, `@${vip}`, "whoami.lab", "TXT"]);
			expect(answer.status).not.toBe(0);
		}
		await capture.atLeast(2);
		await capture.stop();
		const printed = await capture.print();
		expect(printed).toMatch(/IP 198\.51\.100\.8\.\d+ > 203\.0\.113\.53\.53: .*whoami\.lab/);
		expect(printed).toMatch(/IP6 2001:db8:100::8\.\d+ > 2001:db8:53::53\.53: .*whoami\.lab/);
		expect(printed).not.toContain("203.0.113.53.53 >");
	});

	test("a backend that owns a service's address answers with it, past the gateway", async () => {
		const vips = ["203.0.113.53/32", "203.0.113.52/32", "2001:db8:53::53/128"];
		for (const vip of vips) await lab.run("b2", ["ip", "address", "add", vip, "dev", "lo"]);
		const routes = [
			["203.0.113.0/24", addresses.b2.ipv4, addresses.gateway.ipv4],
			["2001:db8:53::/64", addresses.b2.ipv6, addresses.gateway.ipv6],
		] as const;
		for (const [net, via] of routes) await lab.run("router", ["ip", "route", "replace", net, "via", via]);
		const capture = await lab.capture("gateway", "eth0", "ip or ip6 and not icmp6");
		try {
			expect(await whoami(lab, "198.51.100.9", "203.0.113.53")).toBe("b2");
			expect(await whoami(lab, "2001:db8:100::9", "2001:db8:53::53")).toBe("b2");
			expect(await lab.text("client", ["curl", "-sS", "--max-time", "3", "http://203.0.113.53/"])).toBe("b2");
			// iperf3 connects its UDP socket, and takes an answer from no other address than the one it asked.
			const iperf = ["iperf3", "-u", "-b", "1M", "-t", "1", "-J", "-c", "203.0.113.52"] as const;
			const report = JSON.parse(await lab.text("client", iperf));
			expect(report.end.sum.packets).toBeGreaterThan(0);
			expect(report.end.sum.lost_packets).toBe(0);
			expect(await capture.stop()).toEqual([]);
		} finally {
			for (const [net, , via] of routes) await lab.run("router", ["ip", "route", "replace", net, "via", via]);
			for (const vip of vips) await lab.run("b2", ["ip", "address", "delete", vip, "dev", "lo"]);
		}
	});

	test("packets are whole: checksums are right, and none is longer than its link", async () => {
		const capture = await lab.capture("client", "eth0", "tcp or udp");
		expect(await lab.text("client", ["curl", "-sS", "--max-time", "3", "http://10.77.11.2/"])).toBe("b1");
		expect(await whoami(lab, "198.51.100.7", "10.77.11.2")).toBe("b1");
		const packets = await capture.stop();
		expect(packets.length).toBeGreaterThan(7);
		expect(Math.max(...packets.map((packet) => packet.length))).toBeLessThanOrEqual(1514);
		const printed = await capture.print("-vv");
		expect(printed).toContain("cksum");
		expect(printed).not.toMatch(/incorrect|bad udp cksum/);
	});

	test("server links are jumbo, the client's is not", async () => {
		const big = ["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "8000"] as const;
		await lab.run("gateway", [...big, addresses.b1.ipv4]);
		await lab.run("gateway", [...big, addresses.b3.ipv6]);
		expect((await lab.run("client", [...big, addresses.b1.ipv4], { mayFail: true })).status).not.toBe(0);
	});

	test("only the router forwards, and no host filters by reverse path", async () => {
		for (const host of ["router", "client", "gateway", ...backends] as Host[]) {
			const read = (name: string) => lab.text(host, ["sysctl", "-n", name]);
			expect(await read("net.ipv4.ip_forward"), host).toBe(host === "router" ? "1" : "0");
			expect(await read("net.ipv6.conf.all.forwarding"), host).toBe(host === "router" ? "1" : "0");
			expect(await read("net.ipv4.conf.all.rp_filter"), host).toBe("0");
		}
	});
});

describe.skipIf(!isRoot)("labs", () => {
	test("two stand side by side, one with small server links, and neither leaves anything", async () => {
		const before = readFileSync("/proc/net/dev", "utf8").match(/^\s*\S+:/gm);
		const [one, other] = await Promise.all([Lab.up(), Lab.up({ serverMtu: 1500 })]);
		expect(one.prefix).not.toBe(other.prefix);
		expect(await one.text("b1", ["cat", "/sys/class/net/eth0/mtu"])).toBe("9000");
		expect(await other.text("b1", ["cat", "/sys/class/net/eth0/mtu"])).toBe("1500");
		const program = one.start("b1", ["sleep", "100"]);
		await until("sleep runs", () => existsSync(`/proc/${program.pid}`));
		await Promise.all([one.down(), other.down()]);
		expect(program.running).toBe(false);
		for (const lab of [one, other]) {
			expect(existsSync(`/run/netns/${lab.namespace("router")}`)).toBe(false);
			expect(existsSync(join("/run/shunt-lab", lab.prefix))).toBe(false);
		}
		expect(readFileSync("/proc/net/dev", "utf8").match(/^\s*\S+:/gm)).toEqual(before);
	});
});

function dig(lab: Lab, options: string[]): Promise<CommandResult> {
	return lab.run("client", ["dig", ...options], { mayFail: true });
}

async function whoami(lab: Lab, source: string, server: string): Promise<string> {
	const answer = await dig(lab, ["+short", "+tries=2", "+time=2", "-b", source, `@${server}`, "whoami.lab", "TXT"]);
	return answer.stdout.trim().replaceAll('"', "");
}
