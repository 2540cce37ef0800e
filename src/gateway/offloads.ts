/**
 * Receive offloads: GRO and LRO merge packets into ones larger than the link's MTU before a capture sees them, which then
 * fit no link again.
 *
 * Owns: turning them off on the interfaces that are captured, and on again at a clean end.
 * Must never: touch an offload that a driver has fixed, or one that was off already.
 */
import { host } from "../engine/index.js";
import type { Journal } from "./journal.js";

/** The kernel's names (net/ethtool/common.c). */
const MERGING = new Set(["rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding"]);

const KIND = "offload ";

export class Offloads {
	constructor(readonly journal: Journal) {}

	turnOff(dev: string): void {
		for (const { name, active, changeable } of host().offloads(dev)) {
			if (!MERGING.has(name) || !active || !changeable) continue;
			this.journal.note(`${KIND}${dev} ${name}`, "on");
			host().setOffload(dev, name, false);
		}
	}

	restore(): void {
		for (const { what } of this.journal.noted(KIND)) {
			const [dev = "", name = ""] = what.split(" ");
			try {
				host().setOffload(dev, name, true);
			} catch {
				// The interface is gone.
			}
			this.journal.forget(KIND + what);
		}
	}
}
