/**
 * Receive offloads that change packets before an engine sees them. GRO and LRO merge packets into ones larger than the
 * link's MTU, which then fit no link again; in the driver, XDP comes before that, and what it leaves may be merged.
 *
 * Owns: turning them off on the interfaces that are captured, and on again at a clean end.
 * Must never: touch an offload that a driver has fixed, or one that was off already.
 */
import { host } from "../engine/index.js";
import type { EngineKind } from "../member/engines.js";
import type { Journal } from "./journal.js";

/** The kernel's names (net/ethtool/common.c). */
const MERGING = new Set(["rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding"]);

/** What the card itself does, before its driver's XDP: merge, and take VLAN tags off, which then are missing from the bytes. */
const IN_THE_CARD = new Set(["rx-lro", "rx-gro-hw", "rx-vlan-hw-parse"]);

const KIND = "offload ";

export class Offloads {
	constructor(readonly journal: Journal) {}

	turnOff(dev: string, kind: EngineKind): void {
		const unwanted =
			kind === "user" ? MERGING : kind === "generic" ? new Set([...MERGING, ...IN_THE_CARD]) : IN_THE_CARD;
		for (const { name, active, changeable } of host().offloads(dev)) {
			if (!unwanted.has(name) || !active || !changeable) continue;
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
