/**
 * The guard: this host's own kernel must not answer or forward what the engine takes.
 *
 * Rules stand in an nftables table that is *owned* by an nft process of ours (flag owner, Linux 5.12): when that process
 * ends, because we end it or because we die in any way and its standard input closes, the kernel removes the whole table.
 * So a crash leaves nothing behind. The engine's captures see packets before these rules do.
 *
 * Owns: that process and its one table. A new set of rules replaces the old one in a single transaction.
 * Must never: hold a rule that matches anything but our services, our tunnel, and what our backends deliver.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { ShuntError } from "../errors.js";
import { command } from "./command.js";
import type { Journal } from "./journal.js";

/** Sets and chains in nft's own words; a hook is "prerouting priority raw", say. */
export interface GuardRules {
	readonly sets: readonly { readonly name: string; readonly type: string; readonly elements: readonly string[] }[];
	readonly chains: readonly { readonly name: string; readonly hook: string; readonly rules: readonly string[] }[];
}

const NOTHING: GuardRules = { sets: [], chains: [] };

/** How long nft may take for one transaction. */
const PATIENCE_MS = 5000;
/** How long its two outputs may be apart. */
const SETTLE_MS = 20;

export class Guard {
	readonly #table: string;
	#nft: ChildProcessWithoutNullStreams | undefined;
	#closing = false;
	#inForce: GuardRules = NOTHING;
	/** The kernel's rules are gone, and nobody had asked for that. */
	readonly #lost: (why: string) => void;

	/** Only for a table that outlives us. */
	readonly #journal: Journal | undefined;
	/** The table of an earlier daemon has been swept away. */
	#swept = false;

	/** `name` becomes the table's: one for each daemon on a host. With a journal, the table has no owner: it lasts until it is
	 * closed, and the journal knows it after a crash. */
	constructor(name: string, lost: (why: string) => void, journal?: Journal) {
		this.#table = `shunt_${name.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
		this.#lost = lost;
		this.#journal = journal;
	}

	/** Puts these rules in force instead of the last ones, all at once. */
	async set(rules: GuardRules): Promise<void> {
		const nft = this.#start();
		const table = `inet ${this.#table}`;
		// One line is one transaction for nft -i, and its parser wants flat commands.
		this.#journal?.note(`table ${this.#table}`, "absent");
		const sweep = this.#journal !== undefined && !this.#swept ? [`add table ${table}`, `delete table ${table}`] : [];
		const commands = [
			...sweep,
			`add table ${table}${this.#journal === undefined ? " { flags owner; }" : ""}`,
			`flush table ${table}`,
			...this.#inForce.chains.map(({ name }) => `delete chain ${table} ${name}`),
			...this.#inForce.sets.map(({ name }) => `delete set ${table} ${name}`),
			...rules.sets.flatMap(({ name, type, elements }) => [
				`add set ${table} ${name} { type ${type}; }`,
				...(elements.length > 0 ? [`add element ${table} ${name} { ${elements.join(", ")} }`] : []),
			]),
			...rules.chains.flatMap(({ name, hook, rules }) => [
				`add chain ${table} ${name} { type filter hook ${hook}; }`,
				...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
			]),
		];
		await this.#say(nft, commands.join("; "));
		this.#inForce = rules;
		this.#swept = true;
	}

	/** The rules go. */
	async close(): Promise<void> {
		if (this.#journal?.has(`table ${this.#table}`)) {
			await this.leave();
			const table = `inet ${this.#table}`;
			await command("nft", [`add table ${table}; delete table ${table}`]); // which is no mistake if it is gone
			this.#journal.forget(`table ${this.#table}`);
		}
		await this.leave();
	}

	/** Our process ends; rules without an owner stay. */
	leave(): Promise<void> {
		this.#closing = true;
		const nft = this.#nft;
		if (nft === undefined || nft.exitCode !== null) return Promise.resolve();
		return new Promise((resolve) => {
			nft.once("exit", () => resolve());
			nft.stdin.end();
		});
	}

	#start(): ChildProcessWithoutNullStreams {
		if (this.#nft !== undefined && this.#nft.exitCode === null) return this.#nft;
		const nft = spawn("nft", ["-i"], {
			stdio: "pipe",
			detached: true, // Ctrl-C is for us: the rules must stand until we have stopped
			env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C", TERM: "dumb" },
		});
		nft.stdin.on("error", () => {}); // told by exit
		nft.on("exit", () => {
			const inForce = this.#inForce;
			this.#nft = undefined;
			this.#inForce = NOTHING;
			if (this.#closing) return;
			this.#lost("nft ended, and with it the rules that it owned; they are put in force again");
			this.set(inForce).catch((error: Error) => this.#lost(error.message));
		});
		this.#nft = nft;
		return nft;
	}

	/** Says one line, and waits for the answer to a second one that names it: nft reads them in order. */
	#say(nft: ChildProcessWithoutNullStreams, line: string): Promise<void> {
		return new Promise((resolve, reject) => {
			let said = "";
			let complained = "";
			const fail = (why: string) => done(() => reject(new ShuntError("SHUNT_GUARD_FAILED", { why })));
			const done = (then: () => void) => {
				clearTimeout(late);
				clearTimeout(settling);
				nft.stdout.off("data", onOut);
				nft.stderr.off("data", onError);
				nft.off("exit", onExit);
				nft.off("error", onStart);
				then();
			};
			const onOut = (text: Buffer) => {
				said += text;
				// What it has to complain about comes by another pipe, and may be read a moment later.
				if (said.split("\n").some((answer) => answer.trim() === `table inet ${this.#table}`)) settle();
			};
			const onError = (text: Buffer) => {
				complained += text;
				settle();
			};
			let settling: NodeJS.Timeout | undefined;
			const settle = () => {
				settling ??= setTimeout(() => (complained === "" ? done(resolve) : fail(firstSentence(complained))), SETTLE_MS);
			};
			const onExit = () => fail("nft ended");
			const onStart = (error: Error) => fail(error.message);
			const late = setTimeout(() => fail(`nft did not answer within ${PATIENCE_MS / 1000} s`), PATIENCE_MS);
			nft.stdout.on("data", onOut);
			nft.stderr.on("data", onError);
			nft.once("exit", onExit);
			nft.once("error", onStart);
			nft.stdin.write(`${line}\nlist tables inet\n`);
		});
	}
}

/** nft says "Error: sentence", or "Error: sentence; sentence", and then shows the line. */
function firstSentence(text: string): string {
	return (text.trim().split("\n")[0] ?? "").replace(/^(\S+: )?Error: /, "") || "it refused the rules";
}
