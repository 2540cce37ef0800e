/**
 * Receive offloads: GRO and LRO merge packets into ones larger than the link's MTU before a capture sees them, which then
 * fit no link again.
 *
 * Owns: turning them off on the interfaces that are captured, and on again at a clean end.
 * Must never: touch an offload that a driver has fixed, or one that was off already.
 */
import { host } from "../engine/index.js";

/** The kernel's names (net/ethtool/common.c). */
const MERGING = new Set(["rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding"]);

export class Offloads {
	#turnedOff: { dev: string; name: string }[] = [];

	turnOff(dev: string): void {
		for (const { name, active, changeable } of host().offloads(dev)) {
			if (!MERGING.has(name) || !active || !changeable) continue;
			host().setOffload(dev, name, false);
			this.#turnedOff.push({ dev, name });
		}
	}

	restore(): void {
		for (const { dev, name } of this.#turnedOff.splice(0)) {
			try {
				host().setOffload(dev, name, true);
			} catch {
				// The interface is gone.
			}
		}
	}
}
