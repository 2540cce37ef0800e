// faults.test.ts - R29: what a second daemon, a removed address and a full disk do to a host: nothing that lasts.
import { describe, expect, test } from "vitest";
import { CLI, type Cluster, ENGINES, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const VIP = "203.0.113.53";
const eight = addresses.client.ipv4[1]; // a rule of the DNS service leads it to b2, port 5353

describe.skipIf(!isRoot).each(ENGINES)("faults of a host, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine }, (running) => {
		({ lab, cluster } = running);
	});

	/** What a daemon changes on its host. */
	const hostState = async () => [
		await lab.text("b2", ["nft", "list", "tables"]),
		await lab.text("b2", ["sysctl", "net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce"]),
		(await lab.text("b2", ["ip", "-brief", "address"])).replaceAll(/@\S+/g, ""),
	];

	test("R29: a second daemon of a name is refused by the first one's process, and changes nothing of it", async () => {
		const before = await hostState();
		const { pid } = await cluster.status("b2");
		// biome-ignore format: one option per line would hide the command
		const second = await lab.run("b2", [
			process.execPath, CLI, "backend", "--config", cluster.config, "--name", "b2", "--socket", `${cluster.socket("b2")}.other`,
		], { mayFail: true });
		expect(second.status).toBe(4);
		expect(second.stderr).toContain(`The backend b2 is already running as process ${pid}.`);
		expect(await hostState()).toEqual(before);
		await cluster.api("b2").reload();
		expect(await whoAnswers(lab, eight, VIP)).toBe("b2");
	});

	test("R29: a service address that is removed is put back, and reported", async () => {
		const device = engine === "user" ? "shunt0" : "lo";
		await lab.run("b2", ["ip", "address", "del", `${VIP}/32`, "dev", device]);
		await cluster.daemons
			.get("b2")
			?.saysOnStdout(/"event":"warning","problem":"203\.0\.113\.53 was removed from/, 30_000);
		await until("the address to be there again", async () =>
			(await lab.text("b2", ["ip", "address", "show", "dev", device])).includes(`${VIP}/32`),
		);
		expect(await whoAnswers(lab, eight, VIP)).toBe("b2");
	});

	test("R29: where /run is full, a start is refused by the file's name, and changes nothing", async () => {
		await cluster.daemons.get("b2")?.stop();
		const before = await hostState();
		// biome-ignore format: one option per line would hide the command
		const start = await lab.run("b2", [
			"unshare", "--mount", "sh", "-ec", 'mount -t tmpfs -o nr_inodes=1 tmpfs /run/shunt; exec "$@"', "sh",
			process.execPath, CLI, "backend", "--config", cluster.config, "--name", "b2", "--socket", `${cluster.socket("b2")}.other`,
		], { mayFail: true });
		expect(start.status).toBe(3);
		expect(start.stderr).toMatch(/\/run\/shunt\/b2\.\d+\.lock cannot be written: ENOSPC/);
		expect(await hostState()).toEqual(before);
		await cluster.startOne("b2");
	});
});
