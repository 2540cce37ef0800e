// link-rates.ts - from two readings of a link's counters: how fast it carries, how full it is, and what is left of it.
//
// A counter that fell has wrapped (some drivers count in 32 bits) or begun anew (the driver was reset). Bytes and packets of
// a direction that fell together have begun anew: two wraps in one interval don't happen. What was counted before a reset is
// lost, so the rates of that interval are a lower bound, and say so.
//
// Owns: these rules, and the bytes that a frame takes on the wire beside those that the kernel counts.
// Must never: read a clock or a file, smooth, or judge a rate.

/** The order of a reading's entries; native/linux/link.h has the same. */
const RX = { packets: 0, bytes: 1, dropped: 2, errors: 3 } as const;
const TX = { packets: 4, bytes: 5, dropped: 6, errors: 7 } as const;
const COUNTERS = 8;

/** Preamble 8, checksum 4, gap 12: on an Ethernet link's wire, and in no counter. */
export const ETHERNET_OVERHEAD_BYTES = 24;

export interface LinkRatesOptions {
	/** Bits per second, each direction; 0: unknown. */
	readonly speedBps: number;
	/** Of each packet, beyond what the counters have; 0 for what is no Ethernet. */
	readonly overheadBytes?: number;
}

export interface LinkRates {
	/** Bits per second, as the kernel counts them: without preamble, checksum and gap. */
	readonly rxBps: number;
	readonly txBps: number;
	readonly rxPps: number;
	readonly txPps: number;
	/** Per second. */
	readonly rxDrops: number;
	readonly txDrops: number;
	readonly rxErrors: number;
	readonly txErrors: number;
	/** 0 to 1, of the wire; null: the link's speed is unknown. */
	readonly rxUtilisation: number | null;
	readonly txUtilisation: number | null;
	/** What the wire could carry beyond this, bits per second; null: the link's speed is unknown. */
	readonly rxHeadroomBps: number | null;
	readonly txHeadroomBps: number | null;
	/** Counters began anew in this interval: all of the above may be too low. */
	readonly reset: boolean;
}

/** null: no time has passed between the readings, or a reading is short. */
export function linkRates(
	before: BigUint64Array,
	after: BigUint64Array,
	elapsedNs: bigint,
	options: LinkRatesOptions,
): LinkRates | null {
	if (elapsedNs <= 0n || before.length < COUNTERS || after.length < COUNTERS) return null;
	const { deltas, reset } = differences(before, after);
	const seconds = Number(elapsedNs) / 1e9;
	const rate = (counter: number) => (deltas[counter] as number) / seconds;
	const overhead = options.overheadBytes ?? ETHERNET_OVERHEAD_BYTES;
	const speed = Number.isFinite(options.speedBps) && options.speedBps > 0 ? options.speedBps : null;
	const wire = (way: typeof RX | typeof TX) => 8 * (rate(way.bytes) + overhead * rate(way.packets));
	// Readings of bytes and time are not of one moment: a full link may come out a little fuller than full.
	const utilisation = (way: typeof RX | typeof TX) => (speed === null ? null : Math.min(1, wire(way) / speed));
	const headroom = (way: typeof RX | typeof TX) => (speed === null ? null : Math.max(0, speed - wire(way)));
	return {
		rxBps: 8 * rate(RX.bytes),
		txBps: 8 * rate(TX.bytes),
		rxPps: rate(RX.packets),
		txPps: rate(TX.packets),
		rxDrops: rate(RX.dropped),
		txDrops: rate(TX.dropped),
		rxErrors: rate(RX.errors),
		txErrors: rate(TX.errors),
		rxUtilisation: utilisation(RX),
		txUtilisation: utilisation(TX),
		rxHeadroomBps: headroom(RX),
		txHeadroomBps: headroom(TX),
		reset,
	};
}

function differences(before: BigUint64Array, after: BigUint64Array): { deltas: number[]; reset: boolean } {
	const was = (counter: number) => before[counter] as bigint;
	const is = (counter: number) => after[counter] as bigint;
	const fell = (counter: number) => is(counter) < was(counter);
	const anew = [RX, TX].some((way) => fell(way.packets) && fell(way.bytes));
	let reset = anew;
	const deltas = Array.from({ length: COUNTERS }, (_, counter) => {
		if (anew) return Number(is(counter)); // all eight are the driver's, and begin anew together
		if (!fell(counter)) return Number(is(counter) - was(counter));
		const wrapped = wrap(was(counter), is(counter));
		if (wrapped !== null) return Number(wrapped);
		reset = true;
		return Number(is(counter));
	});
	return { deltas, reset };
}

/** How far a counter has come that wrapped, if it may have: by less than half of its range. */
function wrap(was: bigint, is: bigint): bigint | null {
	for (const bits of [32n, 64n]) {
		const range = 1n << bits;
		if (was >= range) continue;
		const delta = range - was + is;
		return delta < range / 2n ? delta : null;
	}
	return null;
}
