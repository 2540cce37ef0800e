#!/usr/bin/env node
// check-imports - imports run one way: a room may import only rooms that stand below it.
//
// Owns: the order of the rooms, for src/ and for native/. ARCHITECTURE.md draws it.
// Must never: know an exception. A file that needs one stands in the wrong room.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** What each room of src/ may import, besides itself. */
const PURE = ["wire", "errors", "config"];
const KNOWLEDGE = [...PURE, "load", "policy", "health", "database"];
const HOST = [...KNOWLEDGE, "engine", "flock"];
const MEMBER = [...HOST, "host"];
const ROLE = [...MEMBER, "member"];
const API = ROLE;
const DAEMON = [...API, "api", "gateway", "backend"];
const BELOW = {
	wire: [],
	errors: [],
	flock: [],
	config: ["wire", "errors", "policy"],
	load: PURE,
	health: ["wire", "errors"],
	policy: ["wire", "errors", "health"],
	database: [...PURE, "flock", "load", "policy", "health"],
	engine: [...PURE, "policy"],
	host: HOST,
	member: MEMBER,
	gateway: ROLE,
	backend: ROLE,
	api: API,
	daemon: DAEMON,
	simulate: ["config", "policy", "health", "database", "errors"],
	client: ["wire"],
	agent: ["wire", "client", "engine", "errors"],
	cli: [...DAEMON, "daemon", "simulate", "client", "agent"],
};

/** In native/: which rooms a room may include, and the one room in which a foreign header may stand. */
const NATIVE = {
	datapath: ["datapath"],
	engine: ["engine", "linux", "datapath"],
	user: ["user", "engine", "linux", "datapath"],
	linux: ["linux"],
	kernel: ["kernel", "engine", "linux", "datapath"],
	agent: ["agent", "kernel", "linux", "datapath"],
	addon: ["addon", "agent", "engine", "user", "kernel", "linux", "datapath"],
};
const FOREIGN = [
	{ pattern: /^(napi\.h|node_api\.h)$/, room: "addon" },
	{ pattern: /^bpf\//, room: ["kernel", "agent"] },
	{ pattern: /^pcap/, room: "user" },
	{ pattern: /^libmnl\//, room: "linux" },
];

function* files(folder, ending) {
	for (const name of readdirSync(folder).sort()) {
		const path = join(folder, name);
		if (statSync(path).isDirectory()) yield* files(path, ending);
		else if (ending.test(name)) yield path;
	}
}

function roomOf(path, base) {
	return relative(base, path)
		.split(sep)[0]
		.replace(/\.(ts|js)$/, "");
}

/** Places (file:line: sentence) where src/ is against the order. */
function checkTypeScript() {
	const base = join(root, "src");
	const problems = [];
	const rooms = new Set(readdirSync(base).map((name) => name.replace(/\.ts$/, "")));
	for (const room of Object.keys(BELOW))
		if (!rooms.has(room)) problems.push(`scripts/check-imports.mjs: src/${room} does not exist`);
	for (const room of rooms)
		if (BELOW[room] === undefined) problems.push(`src/${room}: scripts/check-imports.mjs does not list this room`);
	for (const path of files(base, /\.ts$/)) {
		const room = roomOf(path, base);
		const allowed = BELOW[room] ?? [];
		readFileSync(path, "utf8")
			.split("\n")
			.forEach((line, i) => {
				const target = /(?:from|import)\s*\(?\s*"(\.[^"]+)"/.exec(line)?.[1];
				if (target === undefined) return;
				const other = roomOf(resolve(dirname(path), target), base);
				if (other === room) return;
				const place = `${relative(root, path)}:${i + 1}`;
				if (!allowed.includes(other)) problems.push(`${place}: ${room} must not import ${other}`);
			});
	}
	return problems;
}

function checkNative() {
	const base = join(root, "native");
	const problems = [];
	for (const path of files(base, /\.(h|c|cc)$/)) {
		const room = roomOf(path, base);
		readFileSync(path, "utf8")
			.split("\n")
			.forEach((line, i) => {
				const place = `${relative(root, path)}:${i + 1}`;
				const own = /^\s*#\s*include\s+"([^"]+)"/.exec(line)?.[1];
				const system = /^\s*#\s*include\s+<([^>]+)>/.exec(line)?.[1];
				if (own !== undefined) {
					const beside = resolve(dirname(path), own);
					const target = relative(base, beside.startsWith(base) && exists(beside) ? beside : join(base, own));
					const allowed = NATIVE[room] ?? [];
					if (!allowed.some((entry) => target === entry || target.startsWith(`${entry}/`)))
						problems.push(`${place}: ${room} must not include ${target}`);
				}
				for (const name of [own, system]) {
					const foreign = name && FOREIGN.find(({ pattern }) => pattern.test(name));
					if (foreign && ![foreign.room].flat().includes(room) && !exists(join(base, name)))
						problems.push(`${place}: ${name} belongs to native/${[foreign.room].flat().join(" and native/")}`);
				}
			});
	}
	return problems;
}

function exists(path) {
	return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

const problems = [...checkTypeScript(), ...checkNative()];
for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "imports run one way" : `${problems.length} imports run the wrong way`);
process.exitCode = problems.length === 0 ? 0 : 1;
