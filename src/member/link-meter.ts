/**
 * One interface's counters, read once a period and turned into rates (R12).
 *
 * Owns: the descriptors, and the previous reading.
 * Must never: guess a speed: one that neither the driver nor the configuration gives is 0, unknown.
 */
import { host, LINK_COUNTERS, type LinkCounters } from "../engine/index.js";
import { ETHERNET_OVERHEAD_BYTES, linkRates, type UplinkReport } from "../load/index.js";

/** Rates are those of the wire: with preamble, checksum and gap of each frame. */
export type LinkUse = Omit<UplinkReport, "addresses">;

export class LinkMeter {
	readonly #counters: LinkCounters;
	#before: { readonly counters: BigUint64Array; readonly atNs: bigint } | undefined;

	/** `speedBps` other than 0 replaces the driver's. Throws ENODEV if there is no such interface. */
	constructor(interfaceName: string, speedBps: number) {
		this.#counters = new (host().LinkCounters)(interfaceName, speedBps);
	}

	/** Rates since the previous call; 0 at the first. Throws ENODEV once the interface is gone. */
	read(): LinkUse {
		const atNs = process.hrtime.bigint();
		const counters = this.#counters.read(new BigUint64Array(LINK_COUNTERS.length));
		const { up, speedBps } = this.#counters.state();
		const before = this.#before;
		this.#before = { counters, atNs };
		const rates = before && linkRates(before.counters, counters, atNs - before.atNs, { speedBps });
		if (!rates) return { up, speedBps, rxBps: 0, txBps: 0, rxPps: 0, txPps: 0, drops: 0, errors: 0 };
		const onWire = (bps: number, pps: number) => bps + 8 * ETHERNET_OVERHEAD_BYTES * pps;
		const { rxBps, txBps, rxPps, txPps, rxDrops, txDrops, rxErrors, txErrors } = rates;
		return {
			up,
			speedBps,
			rxBps: onWire(rxBps, rxPps),
			txBps: onWire(txBps, txPps),
			rxPps,
			txPps,
			drops: rxDrops + txDrops,
			errors: rxErrors + txErrors,
		};
	}
}
