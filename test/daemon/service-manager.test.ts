// service-manager.test.ts - what a service manager is told, and when (sd_notify(3)).

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ServiceManager } from "../../src/daemon/service-manager.js";

const READER = join(import.meta.dirname, "notify-reader.py");

/** `count` datagrams of what `act` has sent to this socket. */
async function read(name: string, count: number, act: () => void): Promise<string[]> {
	const reader = spawn("python3", [READER, name], { stdio: ["ignore", "pipe", "inherit"] });
	const lines: string[] = [];
	try {
		let rest = "";
		for await (const text of reader.stdout.setEncoding("utf8")) {
			const parts = (rest + text).split("\n");
			rest = parts.pop() ?? "";
			for (const part of parts) {
				if (part === "bound") act();
				else lines.push(JSON.parse(part));
			}
			if (lines.length >= count) return lines;
		}
		throw new Error(`the reader has ended after ${JSON.stringify(lines)}`);
	} finally {
		reader.kill();
	}
}

describe("the service manager", () => {
	const folder = mkdtempSync(join(tmpdir(), "shunt-notify-"));
	afterEach(() => {
		vi.useRealTimers();
	});

	test.each([join(folder, "notify"), `@shunt-test-${process.pid}`])(
		"R36: a reader at the socket %s is told of ready, a reload and the end",
		async (socket) => {
			const manager = new ServiceManager({ environment: { NOTIFY_SOCKET: socket }, warn: expect.unreachable });
			const told = await read(socket, 5, () => {
				manager.reloading(); // nothing: it is not ready
				manager.status("waiting for the first load report of b3");
				manager.ready("serving 1 service", () => true);
				manager.reloading();
				manager.reloaded("serving 2 services");
				manager.stopping("stopping");
			});
			manager.close();
			expect(told[0]).toBe("STATUS=waiting for the first load report of b3");
			expect(told[1]).toBe("READY=1\nSTATUS=serving 1 service");
			const us = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(told[2] ?? "")?.[1];
			expect(Math.abs(Number(us) - Number(process.hrtime.bigint() / 1000n))).toBeLessThan(60e6);
			expect(told[3]).toBe("READY=1\nSTATUS=serving 2 services");
			expect(told[4]).toBe("STOPPING=1\nSTATUS=stopping");
			rmSync(folder, { recursive: true, force: true });
		},
	);

	test("R36: signs of life come twice in the watchdog's time, from ready on, and only of a daemon that is alive", () => {
		vi.useFakeTimers();
		const sent: string[] = [];
		const environment = { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "2000000", WATCHDOG_PID: String(process.pid) };
		const manager = new ServiceManager({ environment, send: (_, text) => sent.push(text), warn: expect.unreachable });
		let alive = true;
		vi.advanceTimersByTime(5000);
		expect(sent).toEqual([]);
		manager.ready("serving", () => alive);
		vi.advanceTimersByTime(3000);
		expect(sent.slice(1)).toEqual(["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
		alive = false;
		vi.advanceTimersByTime(3000);
		expect(sent).toHaveLength(4);
		manager.close();
	});

	test("R36: another process's watchdog gets none, and without NOTIFY_SOCKET nothing is sent", () => {
		vi.useFakeTimers();
		const sent: string[] = [];
		const send = (_: string, text: string) => sent.push(text);
		const foreign = { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "2000000", WATCHDOG_PID: "1" };
		const manager = new ServiceManager({ environment: foreign, send, warn: expect.unreachable });
		manager.ready("serving", () => true);
		vi.advanceTimersByTime(5000);
		expect(sent).toEqual(["READY=1\nSTATUS=serving"]);
		manager.close();
		new ServiceManager({ environment: {}, send, warn: expect.unreachable }).ready("serving", () => true);
		expect(sent).toHaveLength(1);
	});

	test("a socket without a reader, or of another kind, is one warning and no failure", () => {
		for (const [socket, why] of [
			[join(tmpdir(), "no-such-notify-socket"), /no-such-notify-socket \(NOTIFY_SOCKET\) is not told: .*No such file/],
			["vsock:2:1234", /NOTIFY_SOCKET: Invalid argument/],
		] as const) {
			const warnings: string[] = [];
			const manager = new ServiceManager({
				environment: { NOTIFY_SOCKET: socket },
				warn: (problem) => warnings.push(problem),
			});
			manager.status("one");
			manager.status("two");
			expect(warnings).toEqual([expect.stringMatching(why)]);
		}
	});
});
