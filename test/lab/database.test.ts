// database.test.ts - a gateway and its backends that work from a real etcd: a change in it moves packets, its death moves
// none, and what changed meanwhile is caught up.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import {
	CLI,
	type Cluster,
	DNS_DEFAULT,
	ENGINES,
	labConfig,
	type MemberHost,
	useCluster,
	whoAnswers,
} from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

/** The router's address on the gateway's link: every member reaches it. */
const ENDPOINT = "http://10.77.2.1:2379";
const DATABASE = `etcd://10.77.2.1:2379`;
const MEMBERS: readonly MemberHost[] = ["b1", "b2", "b3", "gateway"];
const VIP = "203.0.113.53";
const SLOW = 40_000;
/** No rule of the lab's DNS service over UDP names it. */
const CLIENT = addresses.client.ipv4[2];
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const configText = labConfig([
	"\nservices:\n",
	`\ndatabase: { kind: etcd, endpoints: ["${ENDPOINT}"] }\n\nservices:\n`,
]);

function startEtcd(lab: Lab): LabProcess {
	// biome-ignore format: one option per line would hide the command
	return lab.start("router", [
		"etcd", "--data-dir", join(lab.directory, "etcd"), "--log-level", "error", "--unsafe-no-fsync",
		"--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", ENDPOINT,
		"--listen-peer-urls", "http://127.0.0.1:2380",
	]);
}

async function shunt(lab: Lab, ...args: string[]): Promise<Record<string, unknown>> {
	const { stdout } = await lab.run("router", [process.execPath, CLI, ...args, "--json"], { timeoutMs: SLOW });
	return JSON.parse(stdout) as Record<string, unknown>;
}

describe.skipIf(!isRoot).each(ENGINES)("a redirection database in etcd, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	let etcd: LabProcess;
	let file: string;
	useCluster(
		{
			engine,
			config: configText,
			prepare: async (made) => {
				etcd = startEtcd(made);
				file = join(made.directory, "shared.yaml");
				writeFileSync(file, configText);
				await until("etcd to take the configuration", () => shunt(made, "apply", file), SLOW);
			},
		},
		(running) => {
			({ lab, cluster } = running);
		},
	);

	const database = async (host: MemberHost) => (await cluster.status(host)).database;
	const allHave = (version: number, hosts = MEMBERS) =>
		until(
			`every member to have version ${version}`,
			async () => (await Promise.all(hosts.map(database))).every((one) => one?.version === version),
			SLOW,
		);
	/** Who serves clients whom no rule names. */
	const served = async (count = 6): Promise<Set<string>> => {
		const names = new Set<string>();
		for (let i = 0; i < count; i++) names.add(await whoAnswers(lab, CLIENT, VIP, ["+retry=2"]));
		return names;
	};
	const write = (backends: string) => {
		const text = readFileSync(file, "utf8").replace(
			/ {4}backends: \[(b\d(, )?)+\] # .*/,
			`    backends: [${backends}] # all others`,
		);
		writeFileSync(file, text);
	};

	test("R2 R17: members serve by the database's records, and a change there moves packets as a reload does", async () => {
		await allHave(1);
		expect([...(await served())].every((name) => /^b[123]$/.test(name))).toBe(true);
		expect(configText).toMatch(DNS_DEFAULT);
		write("b1");
		expect(await shunt(lab, "apply", file, "--wait")).toMatchObject({ version: 2, changed: ["service/dns"] });
		expect((await database("gateway"))?.version).toBe(2);
		await until("b1 alone to serve new flows", async () => [...(await served(3))].join() === "b1", SLOW);
		expect(await shunt(lab, "rollback", "--database", DATABASE, "--wait")).toMatchObject({ version: 3 });
		await until("other backends to serve again", async () => (await served(12)).size > 1, SLOW);
	});

	test("R13 R19: members register with version, load and health, and are gone when they end", async () => {
		const registered = async () => {
			const { records } = (await shunt(lab, "db", "list", "member/", "--database", DATABASE)) as {
				records: { key: string; value: Record<string, unknown> }[];
			};
			return new Map(records.map(({ key, value }) => [key.slice("member/".length), value]));
		};
		const members = await until(
			"every member to have registered its load",
			async () => {
				const found = await registered();
				return found.size === 4 && [...found.values()].every(({ load }) => typeof load === "number") && found;
			},
			SLOW,
		);
		expect([...members.keys()].sort()).toEqual(["b1", "b2", "b3", "g1"]);
		const version = (await database("gateway"))!.version;
		expect(members.get("g1")).toMatchObject({ role: "gateway", version, refused: null, unhealthy: [] });
		const b3 = cluster.daemons.get("b3")!;
		await b3.stop("SIGKILL");
		await until("a killed member's lease to end", async () => !(await registered()).has("b3"), SLOW);
		await cluster.startOne("b3");
		await until("b3 to be registered again", async () => (await registered()).has("b3"), SLOW);
		await cluster.healthy();
	});

	test("R19: a dead database moves no packet; members say so, start from their copy, and catch up", async () => {
		const { version } = (await database("gateway"))!;
		await etcd.stop("SIGKILL");
		for (const host of ["gateway", "b1"] as const)
			await until(`${host} to report the database`, async () => (await database(host))?.connected === false, SLOW);
		expect(await served()).not.toContain("");
		const gateway = cluster.daemons.get("gateway")!;
		expect(gateway.stdout).toMatch(/"event":"database".*"connected":false/);

		// A member that starts now has its copy.
		await gateway.stop();
		const again = await cluster.startOne("gateway");
		expect(again.stdout).toMatch(/"event":"database".*"connected":false/);
		const status = (await database("gateway"))!;
		expect(status).toMatchObject({ connected: false, version });
		expect(status.ageMs).toBeGreaterThan(0);
		await again.saysOnStdout(/"event":"ready"/, SLOW);
		expect(await served()).not.toContain("");

		// What changes as soon as it is back is caught up by all.
		etcd = startEtcd(lab);
		write("b2");
		const { version: next } = (await until("etcd to take the change", () => shunt(lab, "apply", file), SLOW)) as {
			version: number;
		};
		await allHave(next);
		await until("b2 alone to serve new flows", async () => [...(await served(3))].join() === "b2", SLOW);
		for (const host of MEMBERS)
			await until(`${host} to be connected`, async () => (await database(host))?.connected === true, SLOW);
		await cluster.healthy();
	});

	test("R19: a database that is stopped, and silent, is noticed; packets go on; it is followed again when it goes on", async () => {
		etcd.child.kill("SIGSTOP");
		try {
			await until("the gateway to report it", async () => (await database("gateway"))?.connected === false, SLOW);
			expect(await served()).not.toContain("");
		} finally {
			etcd.child.kill("SIGCONT");
		}
		await until("the gateway to follow it again", async () => (await database("gateway"))?.connected === true, SLOW);
		write("b1, b2, b3");
		const { version } = (await shunt(lab, "apply", file, "--wait")) as { version: number };
		await allHave(version);
	});

	test("an invalid record is named in status, its last valid value stays in force, and the others follow", async () => {
		const put = async (key: string, value: string) => {
			const body = {
				key: Buffer.from(`/shunt/${key}`).toString("base64"),
				value: Buffer.from(value).toString("base64"),
			};
			const send = `fetch("${ENDPOINT}/v3/kv/put", { method: "POST", body: ${JSON.stringify(JSON.stringify(body))} })`;
			await lab.run("router", [process.execPath, "-e", send], { timeoutMs: SLOW });
		};
		const before = (await database("gateway"))!.version;
		await put("config/backend/b1", '{"address":"not an address"}');
		await shunt(lab, "db", "put", "backend/b9", "{ address: 10.77.9.9 }", "--database", DATABASE);
		await allHave(before + 1);
		const status = await cluster.status("gateway");
		expect(status.database?.invalid).toMatchObject([{ key: "backend/b1", before: true }]);
		expect(status.loads.map(({ server }) => server)).toContain("b9");
		expect(await served()).not.toContain("");
		await shunt(lab, "apply", file, "--wait");
		expect((await database("gateway"))?.invalid).toEqual([]);
	});

	test("R13 R17: a backend without a file joins by its name, the database's address and the cluster's keys", async () => {
		const keys = join(lab.directory, "keys.yaml");
		const { seed, keys: secrets } = (parse(configText) as { cluster: { seed: string; keys: unknown[] } }).cluster;
		writeFileSync(keys, JSON.stringify({ seed, keys: secrets }), { mode: 0o600 });
		const joins = async (name: string, ...more: string[]) => {
			// biome-ignore format: one option per line would hide the command
			const daemon = lab.start("b3", [
				process.execPath, CLI, "backend", "--join", DATABASE, "--name", name, "--keys", keys,
				"--socket", cluster.socket("b3"), "--json", ...more,
			]);
			cluster.daemons.set("b3", daemon);
			await daemon.saysOnStdout(/"event":"started"/, SLOW);
			return daemon;
		};
		const healthOf = async (name: string) =>
			(await cluster.status("gateway")).loads.find(({ server }) => server === name)?.health;
		await cluster.daemons.get("b3")!.stop();

		// One that the database does not have yet is written there, and the gateway asks it for its load.
		await lab.run("b3", ["ip", "address", "add", "10.77.13.9/24", "dev", "eth0"]);
		const b9 = await joins("b9", "--address", "10.77.13.9");
		await until("the gateway to hear b9", async () => (await healthOf("b9")) === "healthy", SLOW);
		await b9.stop();
		await shunt(lab, "db", "delete", "backend/b9", "--database", DATABASE);

		const b3 = await joins("b3");
		write("b3");
		await shunt(lab, "apply", file, "--wait");
		await until("b3 alone to serve new flows", async () => [...(await served(3))].join() === "b3", SLOW);
		write("b1, b2, b3");
		await shunt(lab, "apply", file, "--wait");
		await b3.stop();
		await cluster.startOne("b3");
		await cluster.healthy();
	});
});
