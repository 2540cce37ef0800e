// model.ts - the options and the result of a run.
//
// Owns: the types of this room and the defaults. A default that the daemon has too is the same here (a test compares
// them).

import type { LoadWeights, StrategyName } from "../policy/index.js";
import type { Outage } from "./outages.js";
import type { Life } from "./random.js";

export interface Link {
	/** Bits per second, in each direction. */
	readonly speedBps: number;
	readonly cap: number;
	readonly cost: number;
	/** Other traffic on the link, from a time on. */
	readonly foreign?: { readonly bps: number; readonly fromS: number };
	/** The time from which it has no carrier. */
	readonly downFromS?: number;
}

export interface Options {
	readonly choose: StrategyName;
	readonly backends: number;
	/** Clients that arrive in the whole run. */
	readonly clients: number;
	readonly timeS: number;
	/** The time before is not measured. */
	readonly settleS: number;
	readonly lifeS: number;
	readonly life: Life;
	readonly gateways: number;
	/** 0: clients do not redirect themselves. */
	readonly leaseS: number;
	/** Fraction of the clients that redirect themselves, where there are leases. */
	readonly capable: number;
	/** Datagrams of a client per second. */
	readonly packets: number;
	/** The strongest backend's capacity over the weakest one's; weights do not reflect it, unless `weighed`. */
	readonly unequal: number;
	/** Weights follow the capacities. */
	readonly weighed: boolean;
	/** Backends that leave or join per minute. */
	readonly churn: number;
	/** Backends whose reports stop at `staleAtS`. */
	readonly stale: number;
	readonly staleAtS: number;
	/** Backends that are dead for a time. Without any, gateways observe no health. */
	readonly outages: readonly Outage[];
	/** As the configuration's `health`. */
	readonly health: {
		readonly rise: number;
		readonly fall: number;
		readonly holdMs: number;
		readonly slowStartMs: number;
		readonly panic: number;
	};
	/** Mean delay of a report, and the fraction of reports that are lost. */
	readonly delayMs: number;
	readonly loss: number;
	/** The links of each backend; empty: one link of unknown speed. */
	readonly links: readonly Link[];
	/** Bytes of one session, over its life. */
	readonly bytes: number;
	readonly seed: number;
	readonly load: LoadWeights & { readonly reportMs: number; readonly smoothMs: number; readonly staleMs: number };
	/** Interval at which a gateway counts its sessions and balances. */
	readonly checkMs: number;
	/** Time after which a gateway expires a session without packets. */
	readonly idleMs: number;
}

/** One step of time; the events within a step happen at its end. */
export const STEP_MS = 100;

/** Most packets of a client that pass a gateway for each lease, until the client has the redirect. */
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
	outages: [],
	health: { rise: 2, fall: 3, holdMs: 1000, slowStartMs: 10_000, panic: 0.5 },
	delayMs: 5,
	loss: 0,
	links: [],
	bytes: 100_000,
	seed: 1,
	load: { reportMs: 1000, smoothMs: 3000, staleMs: 5000, udp: 1, tcp: 1, cpu: 0, link: 0 },
	checkMs: 1000,
	idleMs: 30_000,
};

/** Of the loads of all active backends, in units of their mean; at one time, or of means over time. */
export interface Evenness {
	readonly max: number;
	readonly deviation: number;
}

export interface Result {
	readonly options: Options;
	readonly clients: number;
	/** Live clients at the end. */
	readonly live: number;
	/** Mean load of the backends, over the measured time. */
	readonly load: number;
	readonly balance: {
		/** The mean over all seconds. */
		readonly now: Evenness;
		/** The largest of any second. */
		readonly worst: number;
		/** Of each backend's mean over the measured time: the lasting imbalance, without fluctuations. */
		readonly lasting: Evenness;
	};
	readonly oscillation: {
		/** Root mean square of each backend's load over the mean of all, less its linear trend. */
		readonly amplitude: number;
		/** The amplitude that random arrivals and ends alone cause. */
		readonly noise: number;
		/** Sign changes of that difference. */
		readonly signChangesPerMinute: number;
		/** Sets of tables that a gateway publishes. */
		readonly publishedPerMinute: number;
		/** Fraction of the rows that name another target in a new forwarding table. */
		readonly rowsMovedPerMinute: number;
	};
	readonly disruption: {
		readonly changes: number;
		/** Clients moved for each backend that left, as they must. */
		readonly necessary: number;
		/** Fraction of the other live clients that would be placed elsewhere if they had no session, at each change. */
		readonly elsewhere: number;
		/** Fraction of the renewals that move a client from a backend that has not left. */
		readonly movedAtRenewal: number;
		readonly renewals: number;
	};
	readonly gatewayShare: number;
	/** Fraction of flows for which two gateways choose the same target. */
	readonly agreement: number;
	/** By link, of the measured time: share of new sessions, share of the headroom, use. Empty for a single link. */
	readonly links: readonly { readonly share: number; readonly headroom: number; readonly use: number }[];
	/** New sessions of the backends whose reports stopped, over an equal share; null: reports did not stop. */
	readonly stale: { readonly share: number; readonly most: number } | null;
	/** null: no backend was dead. */
	readonly failures: FailureFigures | null;
	readonly series: Series;
}

/** Of the whole run. A gateway takes a backend out of service when its tables have no rows of it. */
export interface FailureFigures {
	/** Outages; those of them that began while no gateway had the backend in service; and of the others, those that each
	 * gateway has found. */
	readonly outages: number;
	readonly harmless: number;
	readonly found: number;
	/** From the begin of an outage to the tables without the backend. */
	readonly foundMs: { readonly mean: number; readonly most: number };
	/** Times that a gateway took a living backend out of service: one that had returned, or whose answers were lost. */
	readonly late: number;
	/** Sessions of backends that were taken out of service: all, and those whose backend lived. */
	readonly moved: number;
	readonly movedAlive: number;
	/** Sets of tables of a gateway whose rows differ from those before, for health or slow start: in the mean of the time
	 * from the first outage on, and in the worst minute. */
	readonly changesPerMinute: number;
	readonly mostChangesPerMinute: number;
	/** Of a change: the rows that name another target, and those of them whose targets kept their weights. Fractions. */
	readonly rowsChanged: number;
	readonly rowsElsewhere: number;
	/** Packets to dead backends, and all packets. */
	readonly lost: number;
	readonly packets: number;
	/** Seconds in which a gateway used all backends, as too few were healthy. */
	readonly panicS: number;
	/** After a return, by fifths of the slow start's time: a backend's new sessions over an equal share. */
	readonly returnShares: readonly number[];
	/** The greatest load of a returned backend over the mean of all, in the minute after its return. */
	readonly returnMost: number;
}

/** A value for each second; loads[backend][second]. NaN: the backend was not active. */
export interface Series {
	readonly loads: readonly Float32Array[];
	readonly mean: Float32Array;
	readonly maxOverMean: Float32Array;
	readonly gatewayShare: Float32Array;
	/** New sessions by target, of each second. */
	readonly newByTarget: readonly Float32Array[];
	/** Packets to dead backends, of each second, as a fraction of all. */
	readonly lost: Float32Array;
}
