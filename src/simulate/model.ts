// model.ts - what a run is told, and what it tells.
//
// Owns: the words of this room, and what is taken where nothing is said. What the daemon has a default for has the same one
// here (a test compares them).

import type { LoadWeights, StrategyName } from "../policy/index.js";
import type { Life } from "./random.js";

export interface Link {
	/** Bits per second, in each direction. */
	readonly speedBps: number;
	readonly cap: number;
	readonly cost: number;
	/** Traffic that is not ours, from a time on. */
	readonly foreign?: { readonly bps: number; readonly fromS: number };
	/** From here on it has no carrier. */
	readonly downFromS?: number;
}

export interface Options {
	readonly choose: StrategyName;
	readonly backends: number;
	/** So many come in the whole time. */
	readonly clients: number;
	readonly timeS: number;
	/** What comes before is not measured. */
	readonly settleS: number;
	readonly lifeS: number;
	readonly life: Life;
	readonly gateways: number;
	/** 0: clients that don't redirect themselves. */
	readonly leaseS: number;
	/** Of the clients, where there are leases. */
	readonly capable: number;
	/** Datagrams of a client in a second. */
	readonly packets: number;
	/** The strongest backend's capacity over the weakest one's; weights are equal, so that nobody has said so. */
	readonly unequal: number;
	/** Weights say the capacities. */
	readonly weighed: boolean;
	/** Backends that leave or join, in a minute. */
	readonly churn: number;
	/** So many backends' reports stop when a third of the time is over. */
	readonly stale: number;
	readonly staleAtS: number;
	/** Of a report, on its way: mean, and what part is lost. */
	readonly delayMs: number;
	readonly loss: number;
	/** Each backend's links; empty: one, of which nothing is known. */
	readonly links: readonly Link[];
	/** Of one session, over its life. */
	readonly bytes: number;
	readonly seed: number;
	readonly load: LoadWeights & { readonly reportMs: number; readonly smoothMs: number; readonly staleMs: number };
	/** How often a gateway counts its sessions, and balances. */
	readonly checkMs: number;
	/** How long a gateway remembers a session of which it sees no packet. */
	readonly idleMs: number;
}

/** One step of time; everything that happens within one happens at its end. */
export const STEP_MS = 100;

/** A client's packets that a gateway sees for each lease, at most: what is under way until the client has heard. */
export const PACKETS_PER_LEASE = 3;

export const DEFAULTS: Options = {
	choose: "maglev",
	backends: 100,
	clients: 100_000,
	timeS: 600,
	settleS: 300,
	lifeS: 60,
	life: "exponential",
	gateways: 1,
	leaseS: 0,
	capable: 1,
	packets: 10,
	unequal: 1,
	weighed: false,
	churn: 0,
	stale: 0,
	staleAtS: 200,
	delayMs: 5,
	loss: 0,
	links: [],
	bytes: 100_000,
	seed: 1,
	load: { reportMs: 1000, smoothMs: 3000, staleMs: 5000, udp: 1, tcp: 1, cpu: 0, link: 0 },
	checkMs: 1000,
	idleMs: 30_000,
};

/** Of loads over all backends that serve, at one time or of means over time: 1 is the mean. */
export interface Evenness {
	readonly max: number;
	readonly deviation: number;
}

export interface Result {
	readonly options: Options;
	readonly clients: number;
	/** At the end. */
	readonly live: number;
	/** Mean load of the backends, over the measured time. */
	readonly load: number;
	readonly balance: {
		/** Each second's, in the mean. */
		readonly now: Evenness;
		/** The largest of any second. */
		readonly worst: number;
		/** Of each backend's mean over the measured time: what is wrong for good, without what comes and goes. */
		readonly lasting: Evenness;
	};
	readonly oscillation: {
		/** Root mean square of each backend's load over the mean of all, less its straight line over the measured time. */
		readonly amplitude: number;
		/** The same, of arrivals and ends that are random and a choice that heeds nothing. */
		readonly noise: number;
		/** How often that difference changes its sign. */
		readonly signChangesPerMinute: number;
		/** Sets of tables that a gateway has published. */
		readonly publishedPerMinute: number;
		/** Rows that named somebody else in a new forwarding table, of all. */
		readonly rowsMovedPerMinute: number;
	};
	readonly disruption: {
		readonly changes: number;
		/** Clients whose backend left, for each that left. */
		readonly necessary: number;
		/** Of the other live clients, at each change: the part that would be sent elsewhere if no session remembered them. */
		readonly elsewhere: number;
		/** Changes of backend at a renewal, though theirs had not left: of all renewals. */
		readonly movedAtRenewal: number;
		readonly renewals: number;
	};
	readonly gatewayShare: number;
	/** Two gateways' choices for one flow that are the same. */
	readonly agreement: number;
	/** By link: of new sessions, and of the headroom for us, after settling. Empty where there is one. */
	readonly links: readonly { readonly share: number; readonly headroom: number; readonly use: number }[];
	/** Of those whose reports stopped: new sessions over an equal share, while they were silent. null: nobody was. */
	readonly stale: { readonly share: number; readonly most: number } | null;
	readonly series: Series;
}

/** A value for each second; loads[backend][second]. NaN: it was not there. */
export interface Series {
	readonly loads: readonly Float32Array[];
	readonly mean: Float32Array;
	readonly maxOverMean: Float32Array;
	readonly gatewayShare: Float32Array;
	/** New sessions by target, of each second. */
	readonly newByTarget: readonly Float32Array[];
}
