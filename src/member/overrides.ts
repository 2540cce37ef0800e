/**
 * The overrides in force on a member: those that an operator has set here, and those that backends report of themselves.
 *
 *   command  → file → ┐
 *   load reports    → ┴→ configuration in force → publisher
 *
 * A backend that drains by a command of its own tells so in its load reports, and every gateway follows; a command at a
 * gateway holds for that gateway alone. A weight that was set at the gateway goes before one that the backend reports.
 *
 * Owns: the lists, the file, and the timer of the next deadline.
 * Must never: take effect before it is kept: an override that a restart forgets is no override.
 */
import {
	type Config,
	type DrainOverride,
	drainState,
	NO_OVERRIDES,
	type Overrides,
	type WeightOverride,
	withOverrides,
} from "../config/index.js";
import type { ReportedOverride } from "../load/index.js";
import type { OverrideFile } from "./override-file.js";

/** Where an override comes from. */
export type Origin = "command" | "report";

export interface OverridesOptions {
	/** This member's name as a backend, which reports its own overrides; undefined: it is a gateway. */
	readonly backend: string | undefined;
	readonly file: OverrideFile;
	readonly warn: (problem: string) => void;
	/** The configuration in force differs: by a report or a deadline. */
	readonly changed: () => void;
	/** Date.now() */
	readonly now?: () => number;
}

/** setTimeout() takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class MemberOverrides {
	readonly #options: OverridesOptions;
	readonly #now: () => number;
	/** By command, and kept in the file. */
	#commanded: Overrides = NO_OVERRIDES;
	/** This backend drains because it is about to stop: reported, and forgotten with the daemon. */
	#stopping: DrainOverride | undefined;
	/** By backend: what it reports of itself. */
	#reported = new Map<string, Overrides>();
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(options: OverridesOptions) {
		this.#options = options;
		this.#now = options.now ?? Date.now;
		try {
			this.#commanded = options.file.read();
		} catch (error) {
			options.warn(`the overrides in ${options.file.path} are ignored: ${(error as Error).message}`);
		}
		this.#setTimer();
	}

	get commanded(): Overrides {
		return this.#commanded;
	}

	/** All in force, and their origins; a command at this member first. */
	get inForce(): OverridesInForce {
		const { drains, weights } = this.#commanded;
		return this.#withReported({
			drains: [...drains, ...(this.#stopping === undefined ? [] : [this.#stopping])],
			weights,
		});
	}

	/** What would be in force after this change; nothing has changed. */
	inForceWith(change: OverrideChange): OverridesInForce {
		return this.#withReported(this.#commandedWith(change));
	}

	#withReported({ drains, weights }: Overrides): OverridesInForce {
		const command = { by: "command" } as const;
		const report = { by: "report" } as const;
		const reported = [...this.#reported.values()];
		const isSet = ({ service, backend }: WeightOverride) =>
			weights.some((one) => one.service === service && one.backend === backend);
		return {
			drains: [
				...drains.map((one) => ({ ...one, ...command })),
				...reported.flatMap((one) => one.drains.map((drain) => ({ ...drain, ...report }))),
			],
			weights: [
				...weights.map((one) => ({ ...one, ...command })),
				...reported.flatMap((one) => one.weights.filter((weight) => !isSet(weight)).map((w) => ({ ...w, ...report }))),
			],
		};
	}

	/** The configuration in force. At this backend itself a drain does not end by its deadline: gateways move its
	 * sessions, and until the last of them has done so it serves what still arrives. */
	apply(config: Config, overrides: Overrides = this.inForce): Config {
		const drains = overrides.drains.map((one) =>
			one.backend === this.#options.backend ? { ...one, until: null } : one,
		);
		return withOverrides(config, { drains, weights: overrides.weights }, this.#now());
	}

	#commandedWith(change: OverrideChange): Overrides {
		const { drains, weights } = this.#commanded;
		const since = this.#now();
		switch (change.kind) {
			case "drain":
				return { drains: [...without(drains, change.backend), { ...change.drain, since }], weights };
			case "undrain":
				return { drains: without(drains, change.backend), weights };
			case "weight": {
				const { service, backend, weight } = change;
				const others = weights.filter((one) => one.service !== service || one.backend !== backend);
				return { drains, weights: weight === null ? others : [...others, { service, backend, weight, since }] };
			}
		}
	}

	/** Keeps a change. The caller puts it in force. Throws if it cannot be kept. */
	set(change: OverrideChange): void {
		if (change.kind !== "weight" && change.transient) {
			this.#stopping = change.kind === "drain" ? { ...change.drain, since: this.#now() } : undefined;
			return;
		}
		const next = this.#commandedWith(change);
		this.#options.file.write(next);
		this.#commanded = next;
		if (change.kind === "undrain") this.#stopping = undefined;
		this.#setTimer();
	}

	/** Overrides of backends and services that a new configuration no longer has are dropped. */
	prune({ backends, services }: Config): void {
		const isBackend = (name: string) => backends.some((one) => one.name === name);
		const drains = this.#commanded.drains.filter(({ backend }) => isBackend(backend));
		const weights = this.#commanded.weights.filter(
			({ service, backend }) => isBackend(backend) && services.some((one) => one.name === service),
		);
		for (const name of this.#reported.keys()) if (!isBackend(name)) this.#reported.delete(name);
		const dropped = this.#commanded.drains.length + this.#commanded.weights.length - drains.length - weights.length;
		if (dropped === 0) return;
		this.#options.file.write({ drains, weights });
		this.#commanded = { drains, weights };
		this.#options.warn("overrides of backends or services that are no longer configured are dropped");
	}

	/** What a backend's last load report says of itself; undefined: nothing. */
	report(backend: string, reported: ReportedOverride | undefined): void {
		const next = overridesOf(backend, reported, this.#now());
		const before = this.#reported.get(backend);
		if (JSON.stringify(next) === JSON.stringify(before)) return;
		if (next === undefined) this.#reported.delete(backend);
		else this.#reported.set(backend, next);
		this.#options.changed();
	}

	/** What this member, as a backend, tells its gateways of itself; undefined: nothing. */
	ownReport(): ReportedOverride | undefined {
		const name = this.#options.backend;
		const drain = this.#commanded.drains.find(({ backend }) => backend === name) ?? this.#stopping;
		const weights = this.#commanded.weights.filter(({ backend }) => backend === name);
		if (drain === undefined && weights.length === 0) return undefined;
		return {
			...(drain === undefined
				? {}
				: { drain: { state: drainState(drain, this.#now()), since: drain.since, until: drain.until } }),
			weights: weights.map(({ service, weight, since }) => ({ service, weight, since })),
		};
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	/** At a deadline the configuration in force changes by itself. */
	#setTimer(): void {
		clearTimeout(this.#timer);
		const now = this.#now();
		const deadlines = this.#commanded.drains.flatMap(({ until }) => (until !== null && until > now ? [until] : []));
		if (this.#closed || deadlines.length === 0) return;
		const timer = () => {
			this.#setTimer();
			this.#options.changed();
		};
		this.#timer = setTimeout(timer, Math.min(LONGEST_TIMER_MS, Math.min(...deadlines) - now + 1));
		this.#timer.unref();
	}
}

interface From {
	readonly by: Origin;
}

export interface OverridesInForce {
	readonly drains: readonly (DrainOverride & From)[];
	readonly weights: readonly (WeightOverride & From)[];
}

export type OverrideChange =
	| {
			readonly kind: "drain";
			readonly backend: string;
			readonly drain: Omit<DrainOverride, "since">;
			/** Not kept: this backend is about to stop. */
			readonly transient?: boolean;
	  }
	| { readonly kind: "undrain"; readonly backend: string; readonly transient?: boolean }
	/** null: the file's. */
	| { readonly kind: "weight"; readonly service: string; readonly backend: string; readonly weight: number | null };

function without(drains: readonly DrainOverride[], backend: string): DrainOverride[] {
	return drains.filter((one) => one.backend !== backend);
}

/** The backend's own clock has decided whether its deadline is over. */
function overridesOf(backend: string, reported: ReportedOverride | undefined, now: number): Overrides | undefined {
	if (reported === undefined) return undefined;
	const { drain, weights } = reported;
	const until = drain?.state === "inactive" ? Math.min(drain.until ?? now, now) : (drain?.until ?? null);
	return {
		drains: drain === undefined ? [] : [{ backend, since: drain.since, until }],
		weights: weights.map((one) => ({ backend, ...one })),
	};
}
