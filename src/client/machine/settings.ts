// settings.ts - what a machine is configured with, and the defaults (docs/protocol.md, section 9).

import type { Prefix } from "../../wire/index.js";

export type Mode = "off" | "preferred" | "required";

export interface Settings {
	readonly mode: Mode;
	/** The gateway's port for control datagrams: the control port, or the service's own. */
	readonly controlPort: number;
	/** Prefixes that targets must be in; undefined: any target that needs no listing. */
	readonly targets: readonly Prefix[] | undefined;
	/** Whether targets must be of the service's address family. */
	readonly sameFamily: boolean;
	/** Window of `issued`, to either side. */
	readonly windowMs: number;
	/** Duration of a permanent redirection, at most 24 h. */
	readonly permanentMs: number;
	/** Timeout of each transmission of a query. */
	readonly queryTimeoutsMs: readonly number[];
	/** Timeout of each transmission of a probe. */
	readonly probeTimeoutsMs: readonly number[];
	/** How long "the gateway has no capability" is cached. */
	readonly plainMs: number;
	/** First bar on a failed target, and the longest one; and how long "the gateway knows no other target" is cached. */
	readonly barMs: number;
	readonly maxBarMs: number;
	/** Redirections of a service within `stayMs`, at most 5. */
	readonly maxRedirections: number;
	/** The period of `maxRedirections`, and how long the service then stays with its gateway. */
	readonly stayMs: number;
	/** How long a target may leave datagrams unanswered before it is probed. */
	readonly silenceMs: number;
}

export const SETTINGS: Settings = {
	mode: "preferred",
	controlPort: 3575,
	targets: undefined,
	sameFamily: false,
	windowMs: 30_000,
	permanentMs: 86_400_000,
	queryTimeoutsMs: [250, 500, 1000],
	probeTimeoutsMs: [100, 120, 150],
	plainMs: 600_000,
	barMs: 30_000,
	maxBarMs: 300_000,
	maxRedirections: 5,
	stayMs: 300_000,
	silenceMs: 200,
};

/** The defaults with these changes; limits that docs/protocol.md sets are enforced. */
export function completeSettings(settings: Partial<Settings>): Settings {
	const all = { ...SETTINGS, ...settings };
	return {
		...all,
		permanentMs: Math.min(all.permanentMs, SETTINGS.permanentMs),
		maxRedirections: Math.min(all.maxRedirections, SETTINGS.maxRedirections),
	};
}
