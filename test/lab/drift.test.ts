// drift.test.ts - R31, R37: a backend whose clock or key differs is named, and left; one that reads another file is named.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLI, type Cluster, ENGINES, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, root, until } from "./lab.js";

const nine = addresses.client.ipv4[2]; // no rule of the DNS service names it
const VIP = "203.0.113.53";
const KEY = /\{ id: 1, secret: "[0-9a-f]+" \}/;

describe.skipIf(!isRoot).each(ENGINES)("members that drift apart, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	let port = 20_000;

	useCluster({ engine, members: ["b1", "b2", "gateway"] }, (running) => {
		({ lab, cluster } = running);
	});

	const checkLive = async () => {
		// biome-ignore format: one option per line would hide the command
		const { status, stdout } = await lab.run("gateway", [
			process.execPath, CLI, "check", "--live", "--socket", cluster.socket("gateway"),
		], { mayFail: true });
		return { status, stdout };
	};
	/** What the gateway says of b2, once it says something that matches. */
	const says = (text: RegExp) =>
		until(
			`the gateway to say ${text}`,
			async () => {
				const { drift, loads } = await cluster.status("gateway");
				const found = drift.find((one) => one.member === "b2" && text.test(one.text));
				return found && { ...found, health: loads.find(({ server }) => server === "b2")?.health };
			},
			10_000,
		);
	const agrees = () =>
		until(
			"b2 to agree and to serve",
			async () => {
				const { drift, services } = await cluster.status("gateway");
				const targets = services.find(({ address, protocol }) => address === VIP && protocol === "udp")?.targets ?? [];
				const serves = targets.some(({ backend, share }) => backend === "b2" && share > 0);
				return drift.every(({ member }) => member !== "b2") && serves;
			},
			30_000,
		);
	/** b2 has no share of new sessions, and those that begin now are all answered. */
	const isLeft = async () => {
		await until("b2 to be left", async () => {
			const { services } = await cluster.status("gateway");
			const dns = services.find(({ address, protocol }) => address === VIP && protocol === "udp");
			return dns?.targets.every(({ backend, share }) => backend !== "b2" || share === 0);
		});
		port += 100;
		for (let i = 0; i < 10; i++) expect(await whoAnswers(lab, `${nine}#${port + i}`, VIP)).toMatch(/^b[13]$/);
	};
	const restart = async (environment: Record<string, string> = {}) => {
		await cluster.daemons.get("b2")?.stop();
		await cluster.startOne("b2", environment);
	};

	test("R31 R37: a clock beyond the window is named at both ends with its offset, and the backend gets no packets", async () => {
		await cluster.startOne("b3");
		await until("all to be heard", async () => (await cluster.status("gateway")).ready.ready, 10_000);
		await agrees();
		const preload = join(root, "test/lab/shifted-clock.cjs");
		await restart({ NODE_OPTIONS: `--require ${preload}`, SHUNT_TEST_CLOCK_MS: "41000" });
		const found = await says(/^b2's clock is 4[01] s ahead \(window 30 s; synchronize it: chronyc tracking\)$/);
		expect(found).toMatchObject({ what: "clock", unusable: true, health: "unhealthy" });
		await isLeft();
		const { status, stdout } = await checkLive();
		expect(status).toBe(1);
		expect(stdout).toMatch(/^b2's clock is 4[01] s ahead/m);
		expect(cluster.daemons.get("gateway")?.stdout).toMatch(
			/"event":"drift","begins":true,"member":"b2","what":"clock"/,
		);
		const seen = (await cluster.status("b2")).drift.map(({ text }) => text);
		expect(seen).toContainEqual(
			expect.stringMatching(
				/^the gateway at 10\.77\.2\.2: its clock is 4[01] s behind \(window 30 s; synchronize it: chronyc tracking\)$/,
			),
		);
	});

	test("R31 R37: a backend without the gateway's key is named and gets no packets; with it again, all agree", async () => {
		const before = readFileSync(cluster.config, "utf8");
		cluster.write(before.replace(KEY, '{ id: 2, secret: "000102030405060708090a0b0c0d0e0f" }'));
		await restart();
		cluster.write(before);
		const found = await says(/^b2 does not have key 1, with which this gateway signs$/);
		expect(found).toMatchObject({ what: "keys", unusable: true, health: "unhealthy" });
		await isLeft();
		await restart();
		await agrees();
		expect(await checkLive()).toMatchObject({ status: 0, stdout: expect.stringMatching(/^gateway g1: OK, and all 3/) });
	});

	test("R37: a backend that has not read the file again is named; it serves on", async () => {
		await cluster.change("idle: 10s", "idle: 11s");
		const found = await says(/^b2 reads another configuration \(digest [0-9a-f]{16}, here [0-9a-f]{16}\)$/);
		expect(found).toMatchObject({ what: "configuration", unusable: false, health: "healthy" });
		await cluster.api("b2").reload();
		await agrees();
	});
});
