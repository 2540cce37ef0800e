// health-evidence.test.ts - from real sockets on loopback to events: answers, refusals, silence and farewells.

import { createSocket, type Socket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Reporter } from "../../src/backend/reporter.js";
import type { Config } from "../../src/config/index.js";
import { StaticStore } from "../../src/database/index.js";
import { Collector } from "../../src/gateway/collector.js";
import { HealthMonitor } from "../../src/gateway/health-monitor.js";
import type { MemberEvent } from "../../src/member/role.js";
import { config, DNS } from "../database/fixture.js";

let nextPort = 41_000 + (process.pid % 20_000);

function onLoopback(addresses: string[]): Config {
	const read = config(DNS);
	return {
		...read,
		load: { ...read.load, port: nextPort, reportMs: 100, staleMs: 2000 },
		backends: [{ ...read.backends[0]!, name: "b1", addresses }],
	};
}

describe("evidence of health", () => {
	let store: StaticStore;
	let of: Config;
	let monitor: HealthMonitor;
	let collector: Collector;
	let publications: number;
	const events: MemberEvent[] = [];
	const open: { close(): unknown }[] = [];

	beforeEach(async () => {
		nextPort++;
		publications = 0;
		events.length = 0;
		store = await StaticStore.open(config(DNS));
	});
	afterEach(async () => {
		for (const one of open.splice(0)) await one.close();
		await store.close();
	});

	const observe = (addresses: string[]) => {
		of = onLoopback(addresses);
		const changed = () => publications++;
		monitor = new HealthMonitor({ config: of, emit: (event) => events.push(event), changed });
		const warn = (problem: string) => events.push({ event: "warning", problem });
		collector = new Collector({ config: of, store, warn, onEvidence: (one) => monitor.observe(one) });
		open.push(collector);
		collector.start();
	};
	const serve = (survives?: boolean) => {
		const flag = survives === undefined ? {} : { survives };
		const nothing = { total: 0, udpSessions: 0, tcpSessions: 0, cpu: null, link: null, uplinks: [], ...flag };
		const reporter = new Reporter({
			config: of,
			warn: (problem) => events.push({ event: "warning", problem }),
			report: () => ({ server: "b1", at: Date.now(), ...nothing }),
		});
		open.push(reporter);
		reporter.listen(of, of.backends[0]!.addresses);
		return reporter;
	};
	const until = async (health: string, ms: number) => {
		const since = performance.now();
		while (monitor.backend("b1").health !== health) {
			if (performance.now() - since > ms) throw new Error(`not ${health} within ${ms} ms`);
			await sleep(5);
		}
	};
	/** Takes the address without answering. */
	const mute = async (address: string): Promise<Socket> => {
		const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
		open.push(socket);
		await new Promise<void>((bound) => socket.bind({ port: of.load.port, address }, bound));
		return socket;
	};

	for (const address of ["127.0.0.1", "::1"]) {
		test(`R31: ${address} refuses: it is unhealthy within a poll, drains or not by its report, and returns`, async () => {
			for (const survives of [true, false]) {
				observe([address]);
				const reporter = serve(survives);
				await until("healthy", 1000);
				expect(publications, "an unknown backend that turns out healthy is served already").toBe(0);
				reporter.close();
				await until("unhealthy", 400);
				expect(monitor.backend("b1")).toMatchObject({ drains: survives });
				expect(monitor.backend("b1").reason).toMatch(/^its daemon does not run: port \d+ unreachable, last report /);
				expect(publications).toBe(1);
				serve(survives);
				await until("healthy", 3000);
				expect(publications).toBe(2);
				expect(events.map(({ event, health, sessions }) => [event, health, sessions])).toEqual([
					["health", "unhealthy", survives ? "stay" : "move"],
					["health", "healthy", undefined],
				]);
				for (const one of open.splice(0)) await one.close();
				events.length = 0;
				publications = 0;
				nextPort++;
			}
		});
	}

	test("R31: silence is found after 3 queries, but no sooner than it is one", async () => {
		observe(["127.0.0.1"]);
		const reporter = serve();
		await until("healthy", 1000);
		reporter.close();
		const since = performance.now();
		await mute("127.0.0.1");
		await until("unhealthy", 3000);
		expect(performance.now() - since).toBeGreaterThan(1000);
		expect(monitor.backend("b1").reason).toMatch(/^no load report since \d\d:\d\d:\d\d, \d+ polls unanswered$/);
	});

	test("R31: a backend that was never heard stays unknown, refused or silent", async () => {
		observe(["127.0.0.1", "127.0.0.2"]);
		await mute("127.0.0.2");
		await sleep(2500);
		expect(monitor.backend("b1").health).toBe("unknown");
		expect(events).toEqual([]);
	});

	test("R31: a router's error is believed if the backend does not answer a query that follows it, well before a silence", async () => {
		observe(["127.0.0.1"]);
		const reporter = serve();
		await until("healthy", 1000);
		reporter.close();
		await mute("127.0.0.1");
		const since = performance.now();
		collector.doubt("127.0.0.1", "10.0.0.1 reports 127.0.0.1: host unreachable");
		await until("unhealthy", 3000);
		expect(performance.now() - since).toBeGreaterThan(400);
		expect(monitor.backend("b1")).toMatchObject({ drains: false });
		expect(monitor.backend("b1").reason).toMatch(
			/^10\.0\.0\.1 reports 127\.0\.0\.1: host unreachable, since \d\d:\d\d:\d\d, and a query is not answered$/,
		);
	});

	test("R31: forged errors about a backend that answers, or that was never heard, have no effect", async () => {
		observe(["127.0.0.1", "127.0.0.2"]);
		serve();
		await until("healthy", 1000);
		for (let i = 0; i < 15; i++) {
			for (const address of ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) collector.doubt(address, "forged");
			await sleep(100);
		}
		expect(events).toEqual([]);
	});

	test("R31: three networks' clients report a service: it is unhealthy there for the hold-down, and for twice as long if they report again", () => {
		of = onLoopback(["127.0.0.1"]);
		monitor = new HealthMonitor({ config: of, emit: (event) => events.push(event), changed: () => publications++ });
		const service = of.services.find(({ redirection }) => redirection.choices.some(({ backend }) => backend === "b1"))!;
		const { port } = service.redirection.choices.find(({ backend }) => backend === "b1")!;
		const report = (at: number, networks: bigint) =>
			monitor.observeReports([{ backend: "b1", service: service.key, port, networks }], at);
		const check = () => monitor.checks().find(({ check }) => check === "reports");
		report(0, 0b1n);
		report(500, 0b1n);
		expect(check()).toMatchObject({
			health: "unknown",
			reason: `b1: 1 client network reports that ${service.name} does not answer there; 3 are needed`,
		});
		expect(events).toEqual([]);
		report(1000, 0b110n);
		expect(check()).toMatchObject({ health: "unhealthy" });
		expect(events[0]).toMatchObject({ event: "health", backend: "b1", health: "unhealthy", sessions: "move" });
		expect(String(events[0]?.reason)).toMatch(
			/^b1: 3 client networks report that .* does not answer there, since \d\d:\d\d:\d\d$/,
		);
		report(1500, 0b111n);
		monitor.observeReports([], 2000);
		expect(events.map(({ health }) => health)).toEqual(["unhealthy", "healthy"]);
		report(2500, 0b111n);
		monitor.observeReports([], 4000);
		expect(events.map(({ health }) => health)).toEqual(["unhealthy", "healthy", "unhealthy"]);
		monitor.observeReports([], 4500);
		expect(events.map(({ health }) => health)).toEqual(["unhealthy", "healthy", "unhealthy", "healthy"]);
		expect(publications).toBe(4);
		monitor.configure({ ...of, health: { ...of.health, reports: 0 } });
		report(9000, (1n << 64n) - 1n);
		expect(check()).toBeUndefined();
	});

	test("R31: a farewell is believed at once, at every address", async () => {
		observe(["127.0.0.1", "::1"]);
		const reporter = serve(true);
		await until("healthy", 1000);
		await sleep(150);
		expect(await reporter.leave()).toBe(2);
		await until("unhealthy", 90);
		expect(monitor.backend("b1")).toMatchObject({ drains: false });
		expect(monitor.backend("b1").reason).toMatch(/^its daemon was stopped at /);
		expect(events.filter(({ event }) => event === "health").length).toBe(1);
	});

	test("R31: one address refuses while another answers: the backend is healthy, the address is not", async () => {
		observe(["127.0.0.1", "127.0.0.2"]);
		const reporter = serve(true);
		await until("healthy", 1000);
		await sleep(150);
		reporter.listen(of, ["127.0.0.1"]);
		await sleep(400);
		expect(monitor.backend("b1").health).toBe("healthy");
		expect(monitor.target({ key: "", backend: "b1", address: "127.0.0.2", set: "", port: 0 }).health).toBe("unhealthy");
		expect(publications).toBe(1);
	});

	test("R31: a reload with another load port is no reason to take out backends that have not reloaded yet", async () => {
		observe(["127.0.0.1"]);
		serve();
		await until("healthy", 1000);
		collector.configure({ ...of, load: { ...of.load, port: ++nextPort } });
		await sleep(500);
		expect(monitor.backend("b1").health).toBe("healthy");
		expect(events).toEqual([]);
	});
});
