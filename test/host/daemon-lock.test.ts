// daemon-lock.test.ts - R29: one daemon of a name in a network namespace, however the one before it has ended.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { DaemonLock } from "../../src/host/daemon-lock.js";

const folder = mkdtempSync(join(tmpdir(), "shunt-lock-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, namespace = "1") => join(folder, `${name}.${namespace}.lock`);

describe("the lock of a daemon", () => {
	test("R29: is refused to a second daemon of the name with the first one's process; other names and namespaces are free", async () => {
		const first = await DaemonLock.take("gateway", "g1", folder, "1");
		expect(readFileSync(file("g1"), "utf8")).toBe(`gateway ${process.pid}\n`);
		await expect(DaemonLock.take("backend", "g1", folder, "1")).rejects.toMatchObject({
			code: "SHUNT_DAEMON_RUNNING",
			message: `The gateway g1 is already running as process ${process.pid}.`,
		});
		for (const [name, namespace] of [
			["g2", "1"],
			["g1", "2"],
		] as const)
			(await DaemonLock.take("gateway", name, folder, namespace)).release();
		first.release();
		expect(existsSync(file("g1"))).toBe(false);
		(await DaemonLock.take("backend", "g1", folder, "1")).release();
	});

	test("R29: is free again once its holder was killed", async () => {
		writeFileSync(file("killed"), "gateway 77\n");
		const holder = spawn("flock", [file("killed"), "sh", "-c", "echo held; exec sleep 1000"], {
			detached: true, // the lock is the child's, too
			stdio: ["ignore", "pipe", "ignore"],
		});
		await once(holder.stdout, "data");
		await expect(DaemonLock.take("gateway", "killed", folder, "1")).rejects.toThrow(/process 77/);
		process.kill(-(holder.pid as number), "SIGKILL");
		await once(holder, "close");
		(await DaemonLock.take("gateway", "killed", folder, "1")).release();
	});

	test("R29: follows no link, and names the file that cannot be written", async () => {
		writeFileSync(join(folder, "other"), "theirs");
		symlinkSync(join(folder, "other"), file("linked"));
		await expect(DaemonLock.take("gateway", "linked", folder, "1")).rejects.toMatchObject({
			code: "SHUNT_STATE_UNWRITABLE",
			fields: { file: file("linked") },
		});
		expect(readFileSync(join(folder, "other"), "utf8")).toBe("theirs");
		await expect(DaemonLock.take("gateway", "g1", join(folder, "other"), "1")).rejects.toThrow(/cannot be written/);
	});
});
