// daemon.test.ts - R9, R29 and the life of a daemon on its host: start, reload, sessions, crash, clean end.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Status } from "../../src/api/index.js";
import { CLI, type Cluster, ENGINES, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, root, until } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const VIP = "203.0.113.53";

describe.skipIf(!isRoot).each(ENGINES)("a daemon on its host, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	test("R9: a datagram makes a record, a second one renews it, and it is gone after the idle period", async () => {
		const from = `${seven}#4000`;
		const ask = () => whoAnswers(lab, from, VIP);
		const records = async (host: "gateway" | "b1") =>
			(await cluster.api(host).sessions({ source: seven })).sessions.filter((one) => one.sourcePort === 4000);

		await ask();
		for (const host of ["gateway", "b1"] as const) {
			const [record] = await records(host);
			expect(record).toMatchObject({ source: seven, sourcePort: 4000, destination: VIP, destinationPort: 53 });
			expect(record?.proven).toBe(false);
		}
		const [before] = await until("the record to age", async () => {
			const found = await records("gateway");
			return (found[0]?.idleMs ?? 0) > 300 && found;
		});
		await ask();
		const [after] = await records("gateway");
		expect(after?.idleMs).toBeLessThan(before?.idleMs ?? 0);
		expect(after?.proven).toBe(true);
		expect(await records("gateway")).toHaveLength(1);

		// The idle period can be changed while running, on each server.
		await cluster.change("idle: 10s", "idle: 1s", ["gateway", "b1", "b2", "b3"]);
		for (const host of ["gateway", "b1"] as const)
			await until(`the record on ${host} to expire`, async () => (await records(host)).length === 0, 8_000);
		await cluster.change("idle: 1s", "idle: 10s", ["gateway", "b1", "b2", "b3"]);
	});

	test("R29: one CLI asks the daemon: status, sessions, explain, reload", async () => {
		await whoAnswers(lab, `${eight}#4100`, VIP);
		const cli = (...args: string[]) =>
			lab.text("gateway", [process.execPath, CLI, ...args, "--socket", cluster.socket("gateway")] as never);
		const status = JSON.parse(await cli("status", "--json"));
		expect(status).toMatchObject({ role: "gateway", name: "g1", conserved: true });
		expect(await cli("status")).toContain("b2");
		expect(await cli("sessions")).toContain(`${eight}`);
		const told = JSON.parse(await cli("explain", "udp", `${eight}:4100`, `${VIP}:53`, "--json"));
		expect(told).toMatchObject({ verdict: "forward", reason: "forwarded", target: { backend: "b2", port: 5353 } });
		expect(told.rule).toBe(`${eight}/32`);
		expect(JSON.parse(await cli("reload", "--json"))).toHaveProperty("epoch");
	});

	test("a configuration with a mistake changes nothing, and the sentence names the place", async () => {
		const before = readFileSync(cluster.config, "utf8");
		cluster.write(before.replace("port: 53\n", "port: 70000\n"));
		const error = await cluster
			.api("gateway")
			.reload()
			.catch((one: Error) => one);
		expect(String(error)).toMatch(/shunt\.yaml:\d+:\d+: services\.dns\.port/);
		cluster.write(before);
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
	});

	test("R33: a gateway that is also a backend is refused at its start and at a reload, and what it serves stays; warnings are events", async () => {
		const before = readFileSync(cluster.config, "utf8");
		const own = addresses.gateway.ipv4;
		// Where the file has the gateway's address, `check` refuses; where it has not, the host knows.
		const changed = before
			.replace(/(g1: \{ interface: eth0), address: \[[^\]]*\] \}/, "$1 }\n  g9: { interface: eth0 }")
			.replace(/( b3: \{ address: \[)/, `$1${own}, `);
		expect(changed).toContain(`b3: { address: [${own}`);
		expect(changed).toContain("g1: { interface: eth0 }");
		cluster.write(changed);
		const refusal = new RegExp(`${own} of backend b3 is an address of this host`);
		const error = await cluster
			.api("gateway")
			.reload()
			.catch((one: Error) => one);
		expect(String(error)).toMatch(refusal);
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
		// biome-ignore format: one option per line would hide the command
		const other = await lab.run("gateway", [
			process.execPath, CLI, "gateway", "--config", cluster.config, "--name", "g9", "--socket", `${cluster.socket("gateway")}.other`,
		], { mayFail: true });
		expect(other.status).toBe(3);
		expect(other.stderr).toMatch(refusal);
		expect(other.stderr).toMatch(/different hosts/);
		cluster.write(before.replace(`address: [${own},`, `address: [${own}, ${VIP},`));
		await cluster.api("gateway").reload();
		await cluster.daemons.get("gateway")?.saysOnStdout(/"event":"warning","problem":"[^"]*gateway g1's own address/);
		cluster.write(before);
		await cluster.api("gateway").reload();
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
	});

	test("a session stays with its backend over a reload; when that goes, its next packet gets another", async () => {
		const from = `${addresses.client.ipv4[2]}#4200`;
		const first = await whoAnswers(lab, from, VIP);
		await cluster.change("window: 30s", "window: 29s").catch(() => cluster.api("gateway").reload());
		expect(await whoAnswers(lab, from, VIP)).toBe(first);
		const line = new RegExp(`(${first}: \\{ address: [^}]*interface: eth0) \\}`);
		await cluster.change(line, "$1, state: draining }");
		expect(await whoAnswers(lab, from, VIP)).toBe(first);
		await cluster.change("state: draining", "state: inactive");
		const second = await whoAnswers(lab, from, VIP);
		expect(second).not.toBe(first);
		expect((await cluster.reasons("gateway")).forwarded_moved).toBeGreaterThan(0);
		await cluster.change(", state: inactive", "");
		expect(await whoAnswers(lab, from, VIP)).toBe(second);
	});

	test("R33: where no target is left, a connection and a query are refused at once; by refuse: silent they are not", async () => {
		await cluster.change(/(b\d: \{ address: [^}]*interface: eth0) \}/g, "$1, state: inactive }");
		const curl = (host: string) =>
			lab.run("client", ["curl", "-s", "-m", "20", "-o", "/dev/null", `http://${host}/`], { mayFail: true });
		const dig = (server: string, time: string) =>
			lab.run("client", ["dig", "+tries=1", time, `@${server}`, "whoami.lab", "TXT"], { mayFail: true });
		for (const [web, dns] of [
			["203.0.113.80", VIP],
			["[2001:db8:53::80]", "2001:db8:53::53"],
		] as const) {
			expect((await curl(web)).status, "couldn't connect, not timed out").toBe(7);
			expect((await dig(dns, "+time=20")).stdout).toMatch(/connection refused/);
		}
		expect((await cluster.reasons("gateway")).refused).toBeGreaterThan(3);
		await cluster.change("    idle: 10s\n", "    idle: 10s\n    refuse: silent\n");
		expect((await dig(VIP, "+time=1")).stdout).toMatch(/timed out/);
		await cluster.change("    refuse: silent\n", "");
		await cluster.change(/, state: inactive/g, "");
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
	});

	test("a second daemon of the same name is refused, and the first one goes on", async () => {
		// biome-ignore format: one option per line would hide the command
		const second = await lab.run("gateway", [
			process.execPath, CLI, "gateway", "--config", cluster.config, "--name", "g1", "--socket", cluster.socket("gateway"),
		], { mayFail: true });
		expect(second.status).toBe(4);
		expect(second.stderr).toMatch(/is already running as process \d+/);
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
	});

	test("the gateway's own kernel answers a ping to the service's address, and nothing on the service's port", async () => {
		await lab.run("client", ["ping", "-c", "1", "-W", "2", VIP]);
		const answers = await cluster.link("gateway", `src host ${VIP} and not icmp`);
		await whoAnswers(lab, seven, VIP, ["+tcp"]);
		await whoAnswers(lab, seven, VIP);
		expect(await answers.stop()).toHaveLength(0);
	});

	test("R29 R36: a killed daemon leaves no rule behind and does not cut its host off; the next one takes over, and says when it is ready", async () => {
		const gateway = cluster.daemons.get("gateway");
		await gateway?.stop("SIGKILL");
		await until(
			"the kernel to remove the guard",
			async () => (await lab.text("gateway", ["nft", "list", "ruleset"])) === "",
		);
		await lab.run("client", ["ping", "-c", "1", "-W", "2", addresses.gateway.ipv4]);
		const manager = join(lab.directory, "notify");
		const reader = lab.start("gateway", ["python3", join(root, "test/daemon/notify-reader.py"), manager]);
		await reader.saysOnStdout(/bound/);
		// biome-ignore format: one option per line would hide the command
		const wait = (...options: string[]) => lab.run("gateway", [
			process.execPath, CLI, "status", "--wait", "--socket", cluster.socket("gateway"), "--json", ...options,
		], { mayFail: true, timeoutMs: 30_000 });
		expect((await wait("--timeout", "1ms")).status, "no daemon runs").toBe(4);
		const [ready] = await Promise.all([wait(), cluster.startOne("gateway", { NOTIFY_SOCKET: manager })]);
		const status: Status = JSON.parse(ready.stdout);
		expect(ready.status).toBe(0);
		expect(status.ready).toMatchObject({ ready: true, waitingFor: [] });
		expect(status.loads.map(({ health }) => health)).toEqual(["healthy", "healthy", "healthy"]);
		expect(status.services.flatMap(({ targets }) => targets).filter(({ nextHop }) => nextHop === null)).toEqual([]);
		await reader.saysOnStdout(
			/"STATUS=waiting for [\s\S]*"READY=1\\nSTATUS=serving \d+ services; 3 of 3 backends healthy"/,
		);
		expect(cluster.daemons.get("gateway")?.stdout).toMatch(
			/"event":"started"[\s\S]*"event":"ready"[^\n]*"unknown":\[\]/,
		);
		await cluster.api("gateway").reload();
		await reader.saysOnStdout(/"RELOADING=1\\nMONOTONIC_USEC=\d+"\n"READY=1/);
		expect(await whoAnswers(lab, seven, VIP)).toBe("b1");
	});

	test("a clean end leaves the host as it was", async () => {
		const picture = async (host: "gateway" | "b3") => ({
			rules: await lab.text(host, ["nft", "list", "ruleset"]),
			addresses: await lab.text(host, ["ip", "-brief", "address"]),
			arp: await lab.text(host, ["sysctl", "net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce"]),
		});
		await cluster.daemons.get("b3")?.stop();
		const after = await picture("b3");
		expect(after.rules).toBe("");
		expect(after.addresses).not.toMatch(/203\.0\.113|2001:db8:53|shunt0/);
		expect(after.arp).toMatch(/arp_ignore = 0\n.*arp_announce = 0/);
		await cluster.daemons.get("gateway")?.stop();
		const gateway = await picture("gateway");
		expect(gateway.rules).toBe("");
		expect(gateway.addresses).not.toMatch(/203\.0\.113|2001:db8:53/);
		await Promise.all([cluster.startOne("gateway"), cluster.startOne("b3")]);
	});
});
