// subject.mjs - one measurement in a process of its own: node subject.mjs check|reload DIST FILE CHANGED; JSON on stdout.
//
// Of a reload, everything that a gateway's daemon does is measured but what it asks its host for: the file is read as the
// daemon reads it, and the daemon's publisher puts the tables in force in a user-space engine that reads no packets.
// A build from before readConfigAside is measured without an engine, as its publisher compiled.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";

const [what, dist, file, changed] = process.argv.slice(2);
const round = (value) => Math.round(value);

if (what === "check") {
	// The process itself reports its use of the processor and of memory, at its end.
	const report =
		"process.on('exit', () => { const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();" +
		"process.stderr.write(JSON.stringify([(userCPUTime + systemCPUTime) / 1000, maxRSS / 1024])); })";
	const hook = `data:text/javascript,${encodeURIComponent(report)}`;
	const begun = performance.now();
	const { status, stderr } = spawnSync(
		process.execPath,
		["--import", hook, join(dist, "cli/main.js"), "check", "--json", file],
		{ encoding: "utf8", maxBuffer: 1 << 26 },
	);
	const ms = performance.now() - begun;
	if (status !== 0) throw new Error(stderr);
	const [cpu, rss] = JSON.parse(stderr);
	console.log(JSON.stringify({ check_ms: round(ms), check_cpu_ms: round(cpu), check_rss_mb: round(rss) }));
} else {
	const config = await import(join(dist, "config/index.js"));
	if (config.readConfigAside === undefined) await earlier(config);
	else await reload(config);
}

async function reload({ readConfigAside }) {
	const database = await import(join(dist, "database/index.js"));
	const { NativeEngine } = await import(join(dist, "engine/index.js"));
	const { Publisher } = await import(join(dist, "member/publisher.js"));
	const work = mkdtempSync(join(tmpdir(), "shunt-bench-"));
	const none = join(work, "none.pcap");
	writeFileSync(none, Buffer.from("d4c3b2a1020004000000000000000000ffff000001000000", "hex"));
	const role = {
		...{ hostFacts: async () => new Map(), tableInputs: () => ({ roles: 1, own: [], health: new Map() }) },
		...{ published: () => {}, configure: () => {}, apply: async () => {} },
	};
	try {
		const begun = performance.now();
		const config = await readConfigAside(file);
		const store = await database.StaticStore.open(config);
		const snapshot = await database.readSnapshot(store);
		const out = { transmit: "pcap", outputFile: join(work, "out.pcap") };
		const engine = new NativeEngine({ sessions4: 65536, sessions6: 65536, workers: [{ file: none }], ...out });
		const publisher = new Publisher({
			...{ config, snapshot, store, role, engine, interfaces: [], stateFile: undefined, adopted: undefined },
			warn: (problem) => process.stderr.write(`${problem}\n`),
		});
		await publisher.publish();
		const started = performance.now();

		// The longest delay of a timer that is due every millisecond; and, since other programs' use of the processors is in
		// that, the longest turn of the event loop in processor time.
		await pause(50);
		const delay = monitorEventLoopDelay({ resolution: 1 });
		delay.enable();
		await pause(20);
		delay.reset();
		const longest = longestTurn();
		const reloading = performance.now();
		const after = await readConfigAside(changed, { before: config });
		const read = performance.now();
		await publisher.reload(after);
		const reloaded = performance.now();
		const turn = longest();
		await pause(5);
		delay.disable();
		await publisher.stop();
		engine.stop();
		const { tables, recompiled } = publisher.compiled;
		const figures = {
			start_ms: round(started - begun),
			reload_ms: round(reloaded - reloading),
			reload_block_ms: round(delay.max / 1e6),
			reload_turn_ms: round(turn),
			publish_ms: round(reloaded - read),
			daemon_rss_mb: round(process.resourceUsage().maxRSS / 1024),
			recompiled,
			targets: tables.targets.length,
			rules: tables.rules.length,
		};
		console.log(JSON.stringify(figures));
	} finally {
		rmSync(work, { recursive: true, force: true });
	}
}

/** Returns the function that ends the measurement and gives the milliseconds. */
function longestTurn() {
	const used = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
	let longest = 0;
	let before = used();
	const timer = setInterval(() => {
		const now = used();
		longest = Math.max(longest, now - before);
		before = now;
	}, 2);
	return () => {
		clearInterval(timer);
		return Math.max(longest, used() - before);
	};
}

async function earlier({ readConfig }) {
	const database = await import(join(dist, "database/index.js"));
	const { inSlices } = await import(join(dist, "member/publisher.js")).catch(() => ({}));
	const ids = database.newTableIds();
	const compiled = async (config, snapshot, previous) => {
		const input = {
			epoch: 1,
			roles: 1,
			cluster: config.cluster,
			snapshot,
			facts: new Map(),
			own: [],
			ids,
			previous,
			wallOffsetNs: 0n,
		};
		if (database.compileSteps === undefined || inSlices === undefined) return database.compile(input);
		return inSlices(database.compileSteps(input));
	};

	const begun = performance.now();
	const config = readConfig(file);
	const store = await database.StaticStore.open(config);
	const first = await compiled(config, await database.readSnapshot(store), undefined);
	const started = performance.now();

	// The longest time between two turns of the event loop.
	let block = 0;
	let turn = performance.now();
	let next = setImmediate(function tick() {
		block = Math.max(block, performance.now() - turn);
		turn = performance.now();
		next = setImmediate(tick);
	});
	await nextTurn();
	block = 0;
	const reloading = performance.now();
	const after = readConfig(changed);
	await nextTurn();
	const read = performance.now();
	await store.reload(after);
	await compiled(after, await database.readSnapshot(store), first);
	const reloaded = performance.now();
	await nextTurn();
	clearImmediate(next);
	const figures = {
		start_ms: round(started - begun),
		reload_ms: round(reloaded - reloading),
		reload_block_ms: round(block),
		publish_ms: round(reloaded - read),
	};
	console.log(JSON.stringify(figures));
}
