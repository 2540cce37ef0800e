/**
 * Readiness: from when on routing may lead packets to this member. Its engine takes packets before; until its tables
 * are complete and the health of its backends is known, some of them would be lost.
 *
 * Owns: the wait, and the moment. Once ready, a member stays so.
 * Must never: wait without end: the role says when its deadline is over.
 */

/** What a role still waits for. */
export interface Pending {
	/** Phrases for an operator: "the first load report of b3". Empty: ready. */
	readonly what: readonly string[];
	/** The wait is over all the same. */
	readonly deadlineOver: boolean;
}

export interface ReadinessOptions {
	readonly pending: () => Pending;
	/** Resolves when the tables that follow from what is known now are published. */
	readonly published: () => Promise<void>;
	/** Called once. `unknown`: what was waited for in vain. */
	readonly ready: (unknown: readonly string[]) => void;
}

const POLL_MS = 20;

export class Readiness {
	/** Date.now() of the moment; undefined: not yet. */
	since: number | undefined;
	readonly #options: ReadinessOptions;
	#timer: NodeJS.Timeout | undefined;
	#stopped = false;

	constructor(options: ReadinessOptions) {
		this.#options = options;
	}

	/** Empty once ready. */
	get waitingFor(): readonly string[] {
		if (this.since !== undefined) return [];
		const { what } = this.#options.pending();
		return what.length > 0 ? what : ["its tables"];
	}

	start(): void {
		const { what, deadlineOver } = this.#options.pending();
		if (what.length > 0 && !deadlineOver) {
			this.#timer = setTimeout(() => this.start(), POLL_MS);
			return;
		}
		void this.#options.published().then(() => {
			if (this.#stopped || this.since !== undefined) return;
			this.since = Date.now();
			this.#options.ready(what);
		});
	}

	stop(): void {
		this.#stopped = true;
		clearTimeout(this.#timer);
	}
}
