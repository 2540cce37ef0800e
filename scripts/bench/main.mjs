#!/usr/bin/env node
// main.mjs - `npm run bench -- NAME [options]`: one file per benchmark; this one finds it.

const benches = {
	agent: "./agent.mjs",
	clients: "./clients.mjs",
	config: "./config.mjs",
	engine: "./engine.mjs",
	library: "./library.mjs",
	sessions: "./sessions.mjs",
	xdp: "./xdp.mjs",
};
const [name, ...options] = process.argv.slice(2);
if (name === undefined || !(name in benches)) {
	console.error(
		`npm run bench -- NAME; there is ${Object.keys(benches).join(", ")}. bench/README.md says what each measures.`,
	);
	process.exit(2);
}
if (name !== "config" && name !== "library" && process.getuid() !== 0) {
	console.error("bench: needs root, for network namespaces and packets.");
	process.exit(2);
}
const { run } = await import(benches[name]);
process.exitCode = await run(options);
