// subject.mjs - one measurement in a process of its own: node subject.mjs check|reload DIST FILE CHANGED; JSON on stdout.
//
// A build from before compileSteps compiles in one step, as its publisher did.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";

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
	const { readConfig } = await import(join(dist, "config/index.js"));
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
