/**
 * Receive offloads that change packets before an engine sees them. GRO and LRO merge packets into larger ones than the
 * MTU, which then fit no link; XDP in the driver runs before GRO, and packets that it passes may be merged.
 *
 * Owns: switching them off on the captured interfaces, and on again at a clean end.
 * Must never: touch an offload that is fixed by the driver, or one that was off.
 */
import type { Config } from "../config/index.js";
import { host } from "../engine/index.js";
import type { UndoLog } from "./undo-log.js";

/** The engine that runs: XDP in the driver (native), XDP in the kernel's receive path (generic), or user space. */
export type EngineMode = Exclude<Config["engine"]["mode"], "auto">;

/** Feature names of net/ethtool/common.c. */
const MERGING = ["rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding"];
/** Done by the card, before the driver's XDP hook: merging, and removing VLAN tags, which XDP then does not see. */
const IN_HARDWARE = ["rx-lro", "rx-gro-hw", "rx-vlan-hw-parse"];
const UNWANTED: Record<EngineMode, ReadonlySet<string>> = {
	user: new Set(MERGING),
	generic: new Set([...MERGING, ...IN_HARDWARE]),
	native: new Set(IN_HARDWARE),
};

const KEY = "offload ";

export class Offloads {
	readonly #undoLog: UndoLog;

	constructor(undoLog: UndoLog) {
		this.#undoLog = undoLog;
	}

	/** Throws if the kernel refuses. */
	turnOff(interfaceName: string, mode: EngineMode): void {
		for (const { name, active, changeable } of host().offloads(interfaceName)) {
			if (!UNWANTED[mode].has(name) || !active || !changeable) continue;
			this.#undoLog.record(`${KEY}${interfaceName} ${name}`, "on");
			host().setOffload(interfaceName, name, false);
		}
	}

	/** Does not throw. */
	restore(): void {
		for (const { object } of this.#undoLog.entries(KEY)) {
			const [interfaceName = "", name = ""] = object.split(" ");
			try {
				host().setOffload(interfaceName, name, true);
			} catch {
				// The interface is gone.
			}
			this.#undoLog.remove(KEY + object);
		}
	}
}
