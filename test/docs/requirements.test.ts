// requirements.test.ts - docs/requirements.md: what the system must do, and which tests prove it.
//
// The page is made from the tests' titles ("R1 R3: …"): a requirement without a proof is shown as such. In the lab, the end of a
// test's title, or of that of the describe() around it, says over which engines it runs: ", engine %s" over both packet paths
// (ENGINES in test/lab/cluster.ts), ", engine native" over that one. So do checks of scripts/kernels, which run under other
// kernels (`check NAME SECONDS "R33: …, engine native" COMMAND` in test/kernels). `-u` writes it.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** The requirements in short; the index is the number less one. */
const REQUIREMENTS = [
	"A gateway sends a packet, with a redirection header, to the service address of a second server; UDP and TCP, IPv4 and IPv6, either inside the other",
	"The service address comes from a redirection database, by service and source, longest prefix first",
	"Source and service addresses have a port; it may differ from the service's",
	"A redirection flag says whether a client of this source is expected to redirect itself",
	"A permanent flag",
	"A once flag",
	"A leased flag, with the lease's time",
	"Any server answers an indication of failure with an alternative third server",
	"Every server keeps a UDP session table: record, time of the last transmission, idle period",
	"Artificial UDP sessions, TCP sessions, and the total load of each server",
	"The total load is used when balancing",
	"The total load decides which uplink's address a client receives",
	"The database collects load",
	"A redirection indication alone, or the packet returned with the header",
	"The database answers a request's information with a service address",
	"Receiving and transmitting server may be the same or different",
	"The database is embedded, or stands apart and is shared",
	"The choice considers the load of several servers",
	"Several members receive at once, and choose alike",
	"The client resends to the second server",
	"When that fails, the client resends to the first with an indication of the failure",
	"Further communication goes to the second server directly",
	"Later requests too, where the header says so",
	"The client indicates its capability",
	"A server without the capability serves the request all the same",
	"A client library without privilege, and a host agent at packet level",
	"A C++ Node-API addon: libpcap capture, injection at line rate; an XDP program for the same",
	"TypeScript orchestrates policy, aging and load",
	"One daemon, run as root, with one CLI",
	"Benchmarks with pktgen, verification with tcpdump",
	"Health: an unhealthy backend, service or path gets no new session, its sessions choose again, and its return is damped",
	"Any server program works unchanged: clients see the service's address and port, fragments and ICMP errors included",
	"Debian's kernels 6.1 and 6.12, and the newest, pass the same golden cases; what cannot work is refused by name",
	"Packet-too-big and other ICMP errors reach the right backend from any gateway, whatever extension headers they quote",
	"Existing clients get out of the path by MPTCP (RFC 8684), without a program of ours",
	"Many gateways behind ECMP or BGP, each replaceable at any moment, with a readiness that routing follows",
	"Prometheus metrics, HTTP API, console and logs; drift between members is reported",
	"A Debian package with systemd units for members; an npm package without native code for the client",
];

const ENGINES = { user: "user space", native: "native XDP", generic: "generic XDP" } as const;
type Engine = keyof typeof ENGINES;

interface Proof {
	place: string;
	title: string;
	/** Over packets between hosts. */
	real: boolean;
	/** Empty unless it is real. */
	engines: Engine[];
}

/** A requirement counts when it works on both packet paths. */
const PATHS: readonly Engine[] = ["user", "native"];

const NAMED = /, engines? (.*)$/;

/** The engines that a test's title names, or else the title of the last describe() before it. */
function enginesOf(title: string, before: string): Engine[] {
	const around = [...before.matchAll(/^describe\S*\("(.*?)", (?:async )?\(/gm)].at(-1)?.[1] ?? "";
	const named = (NAMED.exec(title) ?? NAMED.exec(around))?.[1] ?? "";
	if (named === "%s") return [...PATHS];
	return (Object.keys(ENGINES) as Engine[]).filter((one) => named.split(/, | and /).includes(one));
}

function* testFiles(folder: string): Generator<string> {
	for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name))) {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) yield* testFiles(path);
		else if (/\.ts$|^guest\.sh$|^lab\.sh$|^nic\.sh$/.test(entry.name) && path !== import.meta.filename) yield path;
	}
}

/** In TypeScript: of test(…), it(…), describe(…), or a case's `title:`. In a guest's shell script: of a check. */
const TITLE = /(?:\(|title:|^\t?(?:\[.*\] \|\| )?check \S+ \d+)\s*(["'`])((?:R\d+ ?)+: .*?)\1/gm;

/** Titles that begin with requirements. */
function proofs(): Map<number, Proof[]> {
	const found = new Map<number, Proof[]>();
	for (const path of testFiles(join(root, "test"))) {
		const text = readFileSync(path, "utf8");
		for (const match of text.matchAll(TITLE)) {
			const title = (match[2] as string).replaceAll(/\$\{[^}]*\}/g, "…").replaceAll("|", "\\|");
			for (const number of title.slice(0, title.indexOf(":")).matchAll(/R(\d+)/g)) {
				const list = found.get(Number(number[1])) ?? [];
				const real = path.startsWith(join(root, "test/lab/")) || (path.endsWith(".sh") && NAMED.test(title));
				const engines = real ? enginesOf(title, text.slice(0, match.index)) : [];
				const short = title.slice(title.indexOf(":") + 2).replace(real ? NAMED : "", "");
				list.push({ place: relative(root, path), title: short, real, engines });
				found.set(Number(number[1]), list);
			}
		}
	}
	return found;
}

/** One list item per proof. Engines are named unless they are exactly the two packet paths. */
function items(list: readonly Proof[]): string[] {
	return list.map(({ place, title, engines }) => {
		const both = engines.length === 0 || engines.join() === PATHS.join();
		const names = engines.map((one) => ENGINES[one]).join(", ");
		return `- ${title} ([${place.split("/").at(-1)}](../${place})${both ? "" : `; ${names}`})`;
	});
}

function enginesProven(list: readonly Proof[]): string {
	const all = Object.keys(ENGINES) as Engine[];
	const proven = all.filter((engine) => list.some(({ engines }) => engines.includes(engine)));
	return proven.map((engine) => ENGINES[engine]).join(", ") || "**not proven yet**";
}

const isReal = ({ real }: Proof) => real;

/** The proofs of one requirement, collapsed. */
function section(number: number, text: string, list: readonly Proof[]): string[] {
	const real = list.filter(isReal);
	const parts = list.filter((one) => !isReal(one));
	const lines = [`## R${number}`, "", `${text}.`, ""];
	if (list.length === 0) return [...lines, "No test names this requirement.", ""];
	lines.push("<details>", `<summary>Over real packets: ${real.length}; parts of it: ${parts.length}</summary>`, "");
	if (real.length > 0) lines.push("Over real packets:", "", ...items(real), "");
	if (parts.length > 0) lines.push("Parts of it:", "", ...items(parts), "");
	return [...lines, "</details>", ""];
}

function page(): string {
	const found = proofs();
	const proofsOf = (number: number) => found.get(number) ?? [];
	const rows = REQUIREMENTS.map((text, i) => {
		const list = proofsOf(i + 1);
		return `| [R${i + 1}](#r${i + 1}) | ${text} | ${enginesProven(list.filter(isReal))} | ${list.length} |`;
	});
	return [
		"# Requirements, and the tests that prove them",
		"",
		"Made from the tests' titles (`npx vitest run test/docs -u`). A requirement counts when it works over real packets",
		"between real hosts, in user space and in native XDP; without such a proof it is not built yet, whatever parts of it",
		"exist. A test runs over both of these engines unless its entry names others.",
		"",
		"| | what the system must do | proven over real packets in | tests |",
		"|---|---|---|---|",
		...rows,
		"",
		...REQUIREMENTS.flatMap((text, i) => section(i + 1, text, proofsOf(i + 1))),
	].join("\n");
}

test("docs/requirements.md is what the tests' titles say", async () => {
	await expect(page()).toMatchFileSnapshot(join(root, "docs/requirements.md"));
});

test("no line of docs/requirements.md is above 400 characters", () => {
	for (const line of page().split("\n")) expect(line.length, line).toBeLessThanOrEqual(400);
});

test("what is proven over real packets is proven on both packet paths", () => {
	for (const [number, list] of proofs()) {
		const real = list.filter(isReal);
		for (const { title, engines } of real) expect(engines, `R${number}: ${title}: no engine named`).not.toEqual([]);
		if (real.length === 0) continue;
		const engines = new Set(real.flatMap((one) => one.engines));
		expect(
			PATHS.filter((engine) => !engines.has(engine)),
			`R${number} is not proven in`,
		).toEqual([]);
	}
});

test("every requirement that a test names exists", () => {
	for (const number of proofs().keys()) expect(REQUIREMENTS[number - 1], `R${number}`).toBeDefined();
});
