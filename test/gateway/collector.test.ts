// collector.test.ts - load queries and reports between a gateway and its backends, over real sockets on loopback.

import { createSocket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Reporter } from "../../src/backend/reporter.js";
import type { Config } from "../../src/config/index.js";
import { readLoads, StaticStore } from "../../src/database/index.js";
import { Collector } from "../../src/gateway/collector.js";
import { decode, encode, type LoadReport } from "../../src/load/index.js";
import { config, DNS } from "../database/fixture.js";

let nextPort = 20_000 + (process.pid % 20_000);

/** Backends on loopback: addresses that a configuration would refuse, and this host has. */
function onLoopback(backends: Record<string, string[]>, load: Partial<Config["load"]> = {}): Config {
	const read = config(DNS);
	return {
		...read,
		load: { ...read.load, port: nextPort, reportMs: 20, staleMs: 200, ...load },
		backends: Object.entries(backends).map(([name, addresses]) => ({ ...read.backends[0]!, name, addresses })),
	};
}

function report(server: string, total: number): LoadReport {
	return { server, at: Date.now(), total, udpSessions: 10, tcpSessions: 1, cpu: null, link: null, uplinks: [] };
}

async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
	for (let i = 0; i < 400; i++) {
		if (await done()) return;
		await sleep(10);
	}
	throw new Error(`never: ${what}`);
}

describe("load queries and reports", () => {
	let store: StaticStore;
	let problems: string[];
	const open: { close(): unknown }[] = [];
	const warn = (problem: string) => problems.push(problem);

	beforeEach(async () => {
		nextPort++;
		problems = [];
		store = await StaticStore.open(config(DNS));
	});
	afterEach(async () => {
		for (const one of open.splice(0)) await one.close();
		await store.close();
	});

	const collect = (of: Config) => {
		const collector = new Collector({ config: of, store, warn });
		open.push(collector);
		collector.start();
		return collector;
	};
	const serve = (of: Config, name: string, total: () => number | undefined) => {
		const reporter = new Reporter({
			config: of,
			warn,
			report: () => {
				const now = total();
				return now === undefined ? undefined : report(name, now);
			},
		});
		open.push(reporter);
		reporter.listen(of, of.backends.find((one) => one.name === name)?.addresses ?? []);
		return reporter;
	};

	test("R13: each backend's report is in the database, over IPv4 and IPv6, and is updated", async () => {
		const of = onLoopback({ b1: ["127.0.0.1", "::1"], b2: ["127.0.0.2"] });
		let total = 0.25;
		serve(of, "b1", () => total);
		serve(of, "b2", () => 0.5);
		const collector = collect(of);
		await until("both reports", async () => (await readLoads(store)).size === 2);
		expect((await readLoads(store)).get("b1")).toMatchObject({ server: "b1", total: 0.25, udpSessions: 10 });
		await until("all addresses", () => collector.heard.get("b1")?.addresses.size === 2);
		expect([...collector.heard.get("b1")!.addresses.keys()].sort()).toEqual(["127.0.0.1", "::1"]);
		total = 0.75;
		await until("the new load", async () => (await readLoads(store)).get("b1")?.total === 0.75);
		expect(problems).toEqual([]);
	});

	test("R31: what a backend's operator orders at run time is told at once, not with the next query", async () => {
		const of = onLoopback({ b1: ["127.0.0.1"] }, { reportMs: 60_000, staleMs: 120_000 });
		const told: unknown[] = [];
		const collector = new Collector({ config: of, store, warn, onReport: ({ override }) => told.push(override) });
		open.push(collector);
		let override: LoadReport["override"];
		const reporter = new Reporter({
			config: of,
			warn,
			report: () => ({ ...report("b1", 0.5), ...(override && { override }) }),
		});
		open.push(reporter);
		reporter.listen(of, ["127.0.0.1"]);
		collector.start();
		await until("the first report", () => told.length === 1);
		override = { drain: { state: "draining", since: 1, until: null }, weights: [] };
		await reporter.update();
		await until("the override", () => told.length === 2);
		expect(told).toEqual([undefined, override]);
	});

	test("a server that stops answering leaves the database, and an address that does is not heard", async () => {
		const of = onLoopback({ b1: ["127.0.0.1", "127.0.0.3"] }, { staleMs: 60 });
		const reporter = serve(of, "b1", () => 0.1);
		const collector = collect(of);
		await until("both addresses", () => collector.heard.get("b1")?.addresses.size === 2);
		reporter.listen(of, ["127.0.0.1"]);
		const at = collector.heard.get("b1")!.addresses;
		const last = at.get("127.0.0.3")!;
		await until("only the other answers", () => at.get("127.0.0.1")! > last + 100);
		expect(at.get("127.0.0.3")).toBeLessThan(last + 100);
		reporter.close();
		await until("no load", async () => (await readLoads(store)).size === 0);
	});

	test("a backend without a report does not answer", async () => {
		const of = onLoopback({ b1: ["127.0.0.1"] });
		let total: number | undefined;
		serve(of, "b1", () => total);
		const collector = collect(of);
		await sleep(100);
		expect(collector.heard.size).toBe(0);
		total = 0;
		await until("idle is a load", async () => (await readLoads(store)).get("b1")?.total === 0);
	});

	test("a query without a valid tag is not answered, nor a report believed; a query is answered once", async () => {
		const of = onLoopback({ b1: ["127.0.0.1"] });
		serve(of, "b1", () => 0.1);
		const answers: Buffer[] = [];
		const socket = createSocket("udp4");
		open.push(socket);
		socket.on("message", (datagram) => answers.push(datagram));
		const ask = (datagram: Buffer) =>
			new Promise((sent) => socket.send(datagram, of.load.port, "127.0.0.1", () => sent(undefined)));
		const key = of.cluster.keys[0]!;
		const question = { kind: "question", nonce: 7n, at: Date.now() } as const;
		await ask(encode(question, { ...key, secret: "0".repeat(32) }));
		await ask(Buffer.from("load, please"));
		await ask(encode({ ...question, at: Date.now() - of.cluster.windowMs - 1000 }, key));
		await ask(encode({ kind: "answer", nonce: 8n, at: Date.now(), report: report("b1", 0) }, key));
		for (let i = 0; i < 3; i++) await ask(encode(question, key));
		const kinds = () => answers.map((one) => decode(one, of.cluster.keys, Date.now(), of.cluster.windowMs));
		const reports = () => kinds().filter((one) => typeof one !== "string" && one.kind === "answer");
		await until("the answer", () => reports().length > 0);
		await sleep(50);
		expect(reports()).toHaveLength(1);
		expect(kinds().filter((one) => typeof one !== "string" && one.kind === "refusal")).toMatchObject([
			{ why: "tag" },
			{ why: "window" },
		]);
	});

	test("an answer without its query, from another address, or about another server is ignored", async () => {
		const of = onLoopback({ b1: ["127.0.0.1"], b2: ["127.0.0.2"] });
		// b1 answers in the name of b2: its key is valid, but a server reports for itself only.
		const impostor = new Reporter({ config: of, warn, report: () => report("b2", 0) });
		open.push(impostor);
		impostor.listen(of, ["127.0.0.1"]);
		collect(of);
		await sleep(200);
		expect((await readLoads(store)).size).toBe(0);
	});

	test("a port in use is reported once, and bound when it is free", async () => {
		const of = onLoopback({ b1: ["127.0.0.1"] });
		const other = createSocket("udp4");
		await new Promise<void>((bound) => other.bind({ port: of.load.port, address: "127.0.0.1" }, bound));
		serve(of, "b1", () => 0.1);
		await until("a warning", () => problems.length > 0);
		expect(problems[0]).toMatch(/^load queries cannot be answered: bind EADDRINUSE 127\.0\.0\.1:\d+$/);
		collect(of);
		other.close();
		await until("the port is bound", async () => (await readLoads(store)).size === 1);
		expect(problems).toHaveLength(1);
	});
});
