/**
 * A set of nftables rules that keeps this host's own kernel from answering or forwarding what the engine takes. The
 * engine's captures see packets before these rules do.
 *
 * Without an undo log the table is *owned* by an nft process of the daemon (flag owner, Linux 5.12): when that process
 * ends, by close() or because the daemon dies and its standard input closes, the kernel removes the table. A crash
 * leaves no rule. With an undo log the table has no owner and lasts until close(); after a crash the log has it.
 *
 * Owns: one nft process and one table. A new set of rules replaces the previous one in a single transaction.
 * Must never: hold a rule that matches a packet which the engine passes on to this kernel.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { ShuntError } from "../errors.js";
import { command, commandEnvironment } from "./command.js";
import type { UndoLog } from "./undo-log.js";

/** A set, or a map if its type has a value ("ipv4_addr : inet_service"). */
export interface FirewallSet {
	readonly name: string;
	readonly type: string;
	readonly elements: readonly string[];
	/** Packets add elements, which expire; at most so many. The elements outlive a replacement of the rules, and a table
	 * without an owner keeps them for the next daemon. */
	readonly dynamic?: number;
	/** Elements may be ranges or prefixes. */
	readonly interval?: boolean;
}

/** In nft's syntax. A hook is "prerouting priority raw", for example; a chain without one is the target of a jump, and
 * comes before the chain that jumps. */
export interface FirewallRules {
	readonly sets: readonly FirewallSet[];
	readonly chains: readonly { readonly name: string; readonly hook?: string; readonly rules: readonly string[] }[];
}

const NO_RULES: FirewallRules = { sets: [], chains: [] };

/** For one transaction of nft. */
const TIMEOUT_MS = 5000;
/** How much later than standard output nft's standard error may be read. */
const STDERR_DELAY_MS = 20;

/** The match for packets that come in by these interfaces. */
export function fromInterfaces(names: readonly string[]): string {
	const unsafe = names.find((name) => /["*\\\s]/.test(name)); // nft has no escape within quotes, and * is any end of a name
	if (unsafe !== undefined) throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: JSON.stringify(unsafe) });
	return `iifname { ${names.map((name) => `"${name}"`).join(", ")} }`;
}

export class Firewall {
	readonly #table: string;
	readonly #warn: (problem: string) => void;
	readonly #undoLog: UndoLog | undefined;
	#nft: ChildProcessWithoutNullStreams | undefined;
	#closing = false;
	#installed: FirewallRules = NO_RULES;
	/** The table of an earlier daemon has been deleted; only for a table without an owner. */
	#replacedEarlier = false;

	/** `name` becomes the table's: shunt_<name>. `warn` hears that nft exited without being asked to. */
	constructor(name: string, warn: (problem: string) => void, undoLog?: UndoLog) {
		this.#table = `shunt_${name.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
		this.#warn = warn;
		this.#undoLog = undoLog;
	}

	/** Replaces the installed rules by these. Throws SHUNT_FIREWALL_FAILED; the previous rules then stay installed. */
	async set(rules: FirewallRules): Promise<void> {
		const nft = this.#start();
		const table = `inet ${this.#table}`;
		this.#undoLog?.record(this.#undoKey, "absent");
		const withoutOwner = this.#undoLog !== undefined;
		const add = `add table ${table}${withoutOwner ? "" : " { flags owner; }"}`;
		const replace = [add, `flush table ${table}`, ...this.#replacement(rules)].join("; ");
		if (withoutOwner && !this.#replacedEarlier) {
			// Within the table of an earlier daemon, whose dynamic elements stay; a set of another type is in the way.
			const anew = [add, `delete table ${table}`, add, ...this.#replacement(rules)].join("; ");
			await this.#run(nft, replace).catch(() => this.#run(nft, anew));
		} else await this.#run(nft, replace);
		this.#installed = rules;
		this.#replacedEarlier = true;
	}

	/** nft -i takes one line as one transaction, and only flat commands within it. */
	#replacement(rules: FirewallRules): string[] {
		const table = `inet ${this.#table}`;
		const remains = (set: FirewallSet) => set.dynamic !== undefined && rules.sets.some((other) => same(set, other));
		return [
			...this.#installed.chains.map(({ name }) => `delete chain ${table} ${name}`),
			...this.#installed.sets.filter((set) => !remains(set)).map((set) => `delete ${kindOf(set)} ${table} ${set.name}`),
			...rules.sets.flatMap((set) => [
				`add ${kindOf(set)} ${table} ${set.name} { type ${set.type}; ${setOptions(set)}}`,
				...(set.dynamic === undefined ? [`flush ${kindOf(set)} ${table} ${set.name}`] : []),
				...(set.elements.length > 0 ? [`add element ${table} ${set.name} { ${set.elements.join(", ")} }`] : []),
			]),
			...rules.chains.flatMap(({ name, hook, rules }) => [
				`add chain ${table} ${name}${hook === undefined ? "" : ` { type filter hook ${hook}; }`}`,
				...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
			]),
		];
	}

	/** Removes the rules. Throws SHUNT_COMMAND_FAILED if a table without an owner cannot be deleted. */
	async close(): Promise<void> {
		await this.detach();
		if (!this.#undoLog?.has(this.#undoKey)) return;
		const table = `inet ${this.#table}`;
		await command("nft", [`add table ${table}; delete table ${table}`]); // "add" lets "delete" succeed if it is gone
		this.#undoLog.remove(this.#undoKey);
	}

	/** Ends the nft process. A table without an owner stays. */
	detach(): Promise<void> {
		this.#closing = true;
		const nft = this.#nft;
		if (nft === undefined || nft.exitCode !== null) return Promise.resolve();
		return new Promise((resolve) => {
			nft.once("exit", () => resolve());
			nft.stdin.end();
		});
	}

	get #undoKey(): string {
		return `table ${this.#table}`;
	}

	#start(): ChildProcessWithoutNullStreams {
		if (this.#nft !== undefined && this.#nft.exitCode === null) return this.#nft;
		const nft = spawn("nft", ["-i"], {
			stdio: "pipe",
			detached: true, // Ctrl-C must not reach it: the rules stay until the engine has stopped
			env: { ...commandEnvironment(), TERM: "dumb" },
		});
		nft.stdin.on("error", () => {}); // the exit event reports it
		nft.on("exit", () => {
			const installed = this.#installed;
			this.#nft = undefined;
			this.#installed = NO_RULES;
			if (this.#closing) return;
			this.#warn(`nft exited, and the rules of table inet ${this.#table} with it; they are installed again`);
			this.set(installed).catch((error: Error) => this.#warn(error.message));
		});
		this.#nft = nft;
		return nft;
	}

	/** Writes one transaction and a query whose answer names the table: nft reads its lines in order, so the answer means
	 * that the transaction is over. */
	#run(nft: ChildProcessWithoutNullStreams, transaction: string): Promise<void> {
		return new Promise((resolve, reject) => {
			let stdout = "";
			let stderr = "";
			let stderrTimer: NodeJS.Timeout | undefined;
			const fail = (why: string) => done(() => reject(new ShuntError("SHUNT_FIREWALL_FAILED", { why })));
			const done = (settle: () => void) => {
				clearTimeout(timeout);
				clearTimeout(stderrTimer);
				nft.stdout.off("data", onStdout);
				nft.stderr.off("data", onStderr);
				nft.off("exit", onExit);
				nft.off("error", onSpawnError);
				settle();
			};
			const onStdout = (text: Buffer) => {
				stdout += text;
				// An error arrives by another pipe, and may be read a moment later.
				if (stdout.split("\n").some((line) => line.trim() === `table inet ${this.#table}`)) awaitStderr();
			};
			const onStderr = (text: Buffer) => {
				stderr += text;
				awaitStderr();
			};
			const awaitStderr = () => {
				stderrTimer ??= setTimeout(
					() => (stderr === "" ? done(resolve) : fail(firstSentence(stderr))),
					STDERR_DELAY_MS,
				);
			};
			const onExit = () => fail("nft exited");
			const onSpawnError = (error: Error) => fail(error.message);
			const timeout = setTimeout(() => fail(`nft did not answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
			nft.stdout.on("data", onStdout);
			nft.stderr.on("data", onStderr);
			nft.once("exit", onExit);
			nft.once("error", onSpawnError);
			nft.stdin.write(`${transaction}\nlist tables inet\n`);
		});
	}
}

function kindOf(set: FirewallSet): "set" | "map" {
	return set.type.includes(" : ") ? "map" : "set";
}

function setOptions({ dynamic, interval }: FirewallSet): string {
	if (interval === true) return "flags interval; ";
	return dynamic === undefined ? "" : `flags dynamic, timeout; size ${dynamic}; `;
}

function same(a: FirewallSet, b: FirewallSet): boolean {
	return a.name === b.name && a.type === b.type && a.dynamic === b.dynamic;
}

/** nft writes "Error: sentence" or "Error: sentence; sentence", and then the line in question. */
function firstSentence(text: string): string {
	return (text.trim().split("\n")[0] ?? "").replace(/^(\S+: )?Error: /, "") || "nft rejected the rules";
}
