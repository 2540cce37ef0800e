// link-rates.ts - rates, utilisation and headroom of a link, from two readings of its counters.
//
// A counter that decreased has wrapped (some drivers count in 32 bits) or was reset (with the driver). If bytes and
// packets of a direction decrease together, they were reset: two wraps in one interval do not occur. Counts before a
// reset are lost, so the rates of that interval are a lower bound and are marked `reset`.
//
// Owns: these rules, and the bytes of a frame on the wire that the kernel does not count.
// Must never: read a clock or a file, smooth, or judge a rate.

/** Indices into a reading, as in native/linux/link.h. */
const RX = { packets: 0, bytes: 1, dropped: 2, errors: 3 } as const;
const TX = { packets: 4, bytes: 5, dropped: 6, errors: 7 } as const;
const COUNTERS = 8;
type Direction = typeof RX | typeof TX;

/** Preamble 8, frame check sequence 4, gap 12: on the wire of an Ethernet link, but in no counter. */
export const ETHERNET_OVERHEAD_BYTES = 24;

export interface LinkRatesOptions {
	/** Bits per second, each direction; 0: unknown. */
	readonly speedBps: number;
	/** Bytes of each packet on the wire that the counters lack; 0 for links other than Ethernet. */
	readonly overheadBytes?: number;
}

export interface LinkRates {
	/** Bits per second as counted by the kernel: without preamble, frame check sequence and gap. */
	readonly rxBps: number;
	readonly txBps: number;
	readonly rxPps: number;
	readonly txPps: number;
	/** Per second. */
	readonly rxDrops: number;
	readonly txDrops: number;
	readonly rxErrors: number;
	readonly txErrors: number;
	/** 0 to 1, on the wire; null: the link's speed is unknown. */
	readonly rxUtilisation: number | null;
	readonly txUtilisation: number | null;
	/** Unused bits per second on the wire; null: the link's speed is unknown. */
	readonly rxHeadroomBps: number | null;
	readonly txHeadroomBps: number | null;
	/** Counters were reset in this interval: the rates are a lower bound. */
	readonly reset: boolean;
}

/** null: no time has passed between the readings, or a reading is incomplete. */
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
	const wire = (direction: Direction) => 8 * (rate(direction.bytes) + overhead * rate(direction.packets));
	// Counters and clock are not read at the same moment: the rate of a full link can exceed its speed.
	const utilisation = (direction: Direction) => (speed === null ? null : Math.min(1, wire(direction) / speed));
	const headroom = (direction: Direction) => (speed === null ? null : Math.max(0, speed - wire(direction)));
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
	const previous = (counter: number) => before[counter] as bigint;
	const current = (counter: number) => after[counter] as bigint;
	const decreased = (counter: number) => current(counter) < previous(counter);
	const allReset = [RX, TX].some(({ packets, bytes }) => decreased(packets) && decreased(bytes));
	let reset = allReset;
	const deltas = Array.from({ length: COUNTERS }, (_, counter) => {
		if (allReset) return Number(current(counter)); // the driver resets all eight together
		if (!decreased(counter)) return Number(current(counter) - previous(counter));
		const wrapped = wrappedBy(previous(counter), current(counter));
		if (wrapped !== null) return Number(wrapped);
		reset = true;
		return Number(current(counter));
	});
	return { deltas, reset };
}

/** The increase of a counter that wrapped; null: it is more than half of its range, so the counter was reset. */
function wrappedBy(previous: bigint, current: bigint): bigint | null {
	for (const bits of [32n, 64n]) {
		const range = 1n << bits;
		if (previous >= range) continue;
		const delta = range - previous + current;
		return delta < range / 2n ? delta : null;
	}
	return null;
}
