/**
 * The aging sweep: tables → sweep → counts. One slice of the session table at a time, a pass every `sessions.check`.
 *
 * Owns: the cursor, the timer, and the counts of the last complete pass.
 * Must never: hold the event loop longer than one slice.
 */
import type { Service } from "../config/index.js";
import type { Snapshot, TableIds } from "../database/index.js";
import type { NativeEngine } from "../engine/index.js";

/** Buckets: about a millisecond. */
const SLICE = 65_536;

export interface SweepHooks {
	/** Milliseconds from the end of a pass to the beginning of the next. */
	intervalMs(): number;
	/** A pass begins. */
	passBegins(): void;
	/** A pass is complete; the engine's session counts are new. */
	passEnds(): void;
}

export class SessionSweeper {
	/** The last complete pass: sessions left, and when it ended (Date.now()); undefined: none yet. */
	last: { readonly live: number; readonly finishedAt: number } | undefined;
	readonly #engine: NativeEngine;
	readonly #hooks: SweepHooks;
	#cursor = 0;
	#live = 0;
	#timer: NodeJS.Timeout | undefined;
	#stopped = false;

	constructor(engine: NativeEngine, hooks: SweepHooks) {
		this.#engine = engine;
		this.#hooks = hooks;
	}

	start(): void {
		if (this.#stopped) return;
		if (this.#cursor === 0) {
			this.#live = 0;
			this.#hooks.passBegins();
		}
		const slice = this.#engine.sweep(this.#cursor, SLICE);
		this.#cursor = slice.next;
		this.#live += slice.live;
		const complete = slice.next === 0;
		if (complete) {
			this.last = { live: this.#live, finishedAt: Date.now() };
			this.#hooks.passEnds();
		}
		this.#timer = setTimeout(() => this.start(), complete ? this.#hooks.intervalMs() : 0);
	}

	stop(): void {
		this.#stopped = true;
		clearTimeout(this.#timer);
	}

	/** Sessions of this protocol's services, by flow or by source as each service counts them (R10). */
	sessionsOf(protocol: Service["protocol"], snapshot: Snapshot, ids: TableIds): number {
		const counts = this.#engine.sessionCounts();
		return snapshot.services
			.filter((service) => service.protocol === protocol)
			.reduce((sum, { key, count }) => {
				const sessions = count === "source" ? counts.sources : counts.services;
				return sum + (sessions[ids.services.get(key) ?? 0] ?? 0);
			}, 0);
	}
}
