// native.ts - the packet engine: the addon's Engine with types.
//
// Owns: the shape of what crosses: tables go down; counters and sessions come up. Nothing here runs per packet.
// Must never: know what the numbers mean for a cluster; that is for gateway/ and backend/.
//
// In this room addresses are 16-byte buffers (IPv4 in mapped form), ports are numbers in host order, times carry their
// unit in their name. What the addon refuses is thrown as ShuntError("SHUNT_ENGINE_FAILED") with one sentence, which names
// the argument that is wrong.

import type { TableSet } from "../policy/index.js";
import { addon } from "./addon.js";
import { attempt, attemptLater } from "./attempt.js";
import type { Explanation, FlowKey } from "./explain.js";
import type { EngineOptions, KernelEngineOptions } from "./options.js";
import type { RemoveResult, SessionCounts, SessionFilter, SessionRow, SessionTable, SweepResult } from "./sessions.js";
import { Statistics, type StatisticsMemory } from "./statistics.js";
import type { PackedTables } from "./table-packing.js";

/** What the kernel's engine alone knows. */
export interface KernelState {
	readonly links: readonly {
		readonly interface: string;
		readonly mode: "native" | "generic";
		/** false: the interface was removed, or the program was detached. */
		readonly attached: boolean;
	}[];
	/** Sessions of an earlier process have been taken up. */
	readonly adopted: boolean;
	readonly programId: number;
	/** Why packets that a driver does not take are not counted as lost; "": they are. */
	readonly unwatched: string;
	/** Why what this host sends keeps no session alive though it was asked for; "": it does. */
	readonly unsent: string;
}

/** Clients' verified failure reports about one target. */
export interface FailureReport {
	/** Its id. */
	readonly service: number;
	/** The target's address and port, as clients were redirected to them. */
	readonly address: Buffer;
	readonly port: number;
	/** A bit for each network that a report came from, of 64 by a keyed hash. */
	readonly networks: bigint;
}

interface EngineBinding {
	publish(tables: TableSet): string[];
	publishPacked(tables: TableSet, packed: PackedTables): Promise<string[]>;
	start(): void;
	stop(): void;
	statistics(): StatisticsMemory;
	sweep(slice: { from: number; buckets: number }): SweepResult;
	sessionCounts(): SessionCounts;
	sessionTable(): SessionTable;
	sessions(filter: SessionFilter & { limit?: number; from?: number }): { rows: SessionRow[]; next: number };
	removeSessions(filter: SessionFilter & { from?: number; buckets?: number }): RemoveResult;
	failureReports(): FailureReport[];
	explain(flow: FlowKey): Explanation;
	retiredTables(): number;
	kernel(): KernelState | undefined;
	pinProgram(path: string): void;
}

interface Binding {
	readonly Engine: new (options: EngineOptions | { kernel: KernelEngineOptions }) => EngineBinding;
	pinnedMode(pins: string, interfaceName: string): "native" | "generic" | undefined;
}

/** A packet engine, in user space or, with `kernel`, in XDP. Lifetime: construct, publish, start, stop. All calls but publish
 * at most once. */
export class NativeEngine {
	readonly statistics: Statistics;
	readonly #engine: EngineBinding;

	/** Opens every interface; nothing is forwarded before start(). */
	constructor(options: EngineOptions | { kernel: KernelEngineOptions }) {
		this.#engine = attempt("opening", () => new (addon<Binding>().Engine)(options));
		this.statistics = new Statistics(this.#engine.statistics());
	}

	/** Puts a whole set of tables in force between two packets. Returns a sentence for each link that can't be sent on;
	 * packets for targets behind it are counted as transmit_failed. */
	publish(tables: TableSet): string[] {
		return attempt("publishing tables", () => this.#engine.publish(tables));
	}

	/** The same, all but the swap in another thread; `packed` by packTables(). At most one at a time. */
	async publishPacked(tables: TableSet, packed: PackedTables): Promise<string[]> {
		const short = { ...tables, services: [], rules: [], targets: [] };
		return attemptLater("publishing tables", () => this.#engine.publishPacked(short, packed));
	}

	/** Starts the workers. */
	start(): void {
		attempt("starting", () => this.#engine.start());
	}

	/** Stops the workers and waits for them: at most a batch each. Counters and sessions stay readable. */
	stop(): void {
		this.#engine.stop();
	}

	/** Ages a slice of the session table: `buckets` of them from bucket `from`. */
	sweep(from: number, buckets: number): SweepResult {
		return attempt("aging sessions", () => this.#engine.sweep({ from, buckets }));
	}

	sessionCounts(): SessionCounts {
		return this.#engine.sessionCounts();
	}

	sessionTable(): SessionTable {
		return this.#engine.sessionTable();
	}

	/** At most about `limit` sessions (default 1000) from bucket `from` on; `next` is where to go on, 0 at the end. */
	sessions(filter: SessionFilter & { limit?: number; from?: number } = {}): { rows: SessionRow[]; next: number } {
		return attempt("listing sessions", () => this.#engine.sessions(filter));
	}

	/** Ends every session that matches, of `buckets` (default about a millisecond's) from bucket `from` on: the whole table
	 * may have millions, and the event loop wants its turn. */
	removeSessions(filter: SessionFilter & { from?: number; buckets?: number }): RemoveResult {
		return attempt("removing sessions", () => this.#engine.removeSessions(filter));
	}

	/** What clients have reported since the last call. */
	failureReports(): FailureReport[] {
		return this.#engine.failureReports();
	}

	/** What would happen to a flow's next packet, by the packet program's own look-ups; changes nothing. */
	explain(flow: FlowKey): Explanation {
		return attempt("explaining", () => this.#engine.explain(flow));
	}

	/** undefined: this is the user-space engine. */
	kernel(): KernelState | undefined {
		return this.#engine.kernel();
	}

	/** Pins the kernel's program in a BPF file system, for another program that measures it. */
	pinProgram(path: string): void {
		attempt("pinning", () => this.#engine.pinProgram(path));
	}

	/** Sets of tables that a worker may still be reading; 0 soon after a publish. */
	retiredTables(): number {
		return this.#engine.retiredTables();
	}
}

/** In which mode a program is attached to this interface by what is pinned in this folder; undefined: nothing is. */
export function pinnedMode(pins: string, interfaceName: string): "native" | "generic" | undefined {
	return addon<Binding>().pinnedMode(pins, interfaceName);
}
