// `shunt db`, `plan`, `apply` and `rollback` as a user runs them, over an embedded database.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";

const CLI = join(import.meta.dirname, "../../dist/cli/main.js");
const work = mkdtempSync(join(tmpdir(), "shunt-db-cli-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const FILE = join(work, "cluster.yaml");
const text = (backends: string) => `
version: 1
cluster: { seed: any text, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }
database: { kind: embedded, folder: database }
gateways: { g1: { interface: eth0 } }
backends:
  b1: { address: 10.77.3.11 }
  b2: { address: 10.77.3.12 }
services:
  dns: { address: 203.0.113.53, port: 53, protocol: udp, backends: [${backends}] }
`;

function shunt(...args: string[]): { status: number | null; stdout: string; stderr: string } {
	return spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
}

function json(...args: string[]): Record<string, unknown> {
	const { stdout, stderr } = shunt(...args, "--json");
	expect(stderr).toBe("");
	return JSON.parse(stdout) as Record<string, unknown>;
}

function error(...args: string[]): { code: string; message: string; exitStatus: number } {
	const { status, stderr } = shunt(...args, "--json");
	const answer = (JSON.parse(stderr) as { error: ReturnType<typeof error> }).error;
	expect(status).toBe(answer.exitStatus);
	return answer;
}

describe("R2 R17: the redirection database by hand", { timeout: 120_000 }, () => {
	const at = ["--config", FILE];
	beforeAll(() => {
		writeFileSync(FILE, text("b1, b2"));
		shunt("db", "import", FILE);
	});

	test("a file is planned, applied if the plan still holds, and rolled back", () => {
		writeFileSync(FILE, text("b1"));
		const plan = json("plan", FILE) as { version: number; records: unknown[]; services: { moved: number }[] };
		expect(plan.records).toEqual([{ key: "service/dns", change: "changed", fields: ["backends"] }]);
		expect(plan.services[0]!.moved).toBeGreaterThan(0.4);
		expect(shunt("plan", FILE).stdout).toContain("~ service/dns: backends");
		expect(error("apply", FILE, "--planned", "77")).toMatchObject({ code: "SHUNT_DATABASE_CONFLICT", exitStatus: 1 });
		expect(json("apply", FILE, "--planned", String(plan.version))).toEqual({
			version: plan.version + 1,
			changed: ["service/dns"],
		});
		expect(shunt("plan", FILE).stdout).toContain("nothing would change");
		expect(json("rollback", ...at)).toMatchObject({ changed: ["service/dns"] });
		const history = json("db", "history", ...at) as { versions: { note: string }[] };
		expect(history.versions[0]!.note).toContain("rollback to version");
	});

	test("records are written if they are valid together, and exported as a file that seeds another database", () => {
		expect(json("db", "put", "backend/b3", "{ address: 10.77.3.13 }", ...at)).toMatchObject({
			changed: ["backend/b3"],
		});
		expect(json("db", "get", "backend/b3", ...at)).toMatchObject({ value: { address: "10.77.3.13" } });
		for (const [key, value, message] of [
			["backend/b4", "{ adress: 10.77.3.14 }", "address"],
			["backend/b4", "{ address: 10.77.3.13 }", "b3"],
			["backend/b4", "{ address: [", "not YAML"],
			["nonsense", "1", "there is no such record"],
		] as const) {
			const refused = error("db", "put", key, value, ...at);
			expect(refused).toMatchObject({ code: "SHUNT_DATABASE_RECORD", exitStatus: 2 });
			expect(refused.message).toContain(message);
		}
		expect(error("db", "delete", "backend/b1", ...at).message).toContain("service/dns would be invalid");
		const fields = parse(shunt("db", "export", ...at).stdout) as { backends: object; services: object };
		expect(Object.keys(fields.backends)).toEqual(["b1", "b2", "b3"]);
		const listed = json("db", "list", "backend/", ...at) as { records: { key: string }[] };
		expect(listed.records.map(({ key }) => key)).toEqual(["backend/b1", "backend/b2", "backend/b3"]);
		expect(json("db", "delete", "backend/b3", ...at)).toMatchObject({ changed: ["backend/b3"] });
	});

	test("a watch prints each change that another process makes", async () => {
		const child = spawn(process.execPath, [CLI, "db", "watch", "backend/", "--json", ...at]);
		let said = "";
		const ended = new Promise((resolve) => child.once("close", resolve));
		const seen = new Promise<void>((resolve) => {
			child.stdout.on("data", (part: Buffer) => {
				said += part;
				if (said.includes("\n")) resolve();
			});
		});
		// The watch begins at some time: changes are made until one is seen.
		let done = false;
		void seen.then(() => {
			done = true;
		});
		for (let i = 0; !done && i < 50; i++) {
			shunt("db", "put", "backend/b9", `{ address: 10.77.3.${100 + i} }`, ...at);
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
		await seen;
		child.kill("SIGINT");
		await ended;
		expect(JSON.parse(said.split("\n")[0]!)).toMatchObject({ key: "backend/b9" });
	});

	test("a command line without a database, or with one that is none, is an error of one sentence", () => {
		expect(error("db", "list")).toMatchObject({ code: "SHUNT_USAGE", exitStatus: 2 });
		expect(error("db", "list", "-d", "redis://x")).toMatchObject({ code: "SHUNT_USAGE", exitStatus: 2 });
		const lab = join(import.meta.dirname, "../../examples/lab.yaml");
		expect(error("plan", lab)).toMatchObject({ code: "SHUNT_DATABASE_STATIC", exitStatus: 2 });
		expect(error("db", "list", "-d", "etcd://127.0.0.1:9")).toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
		expect(shunt("db").stdout + shunt("db").stderr).toContain("Usage: shunt db");
	});
});
