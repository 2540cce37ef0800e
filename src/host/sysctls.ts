/**
 * Kernel parameters (sysctl), through /proc/sys.
 *
 * Owns: those that it has changed; the undo log has their original values.
 * Must never: change a parameter for all interfaces at once.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { UndoLog } from "./undo-log.js";

const KEY = "setting ";

export class Sysctls {
	readonly #undoLog: UndoLog;

	constructor(undoLog: UndoLog) {
		this.#undoLog = undoLog;
	}

	/** A parameter that this kernel does not have is skipped. Throws if it cannot be written. */
	set(name: string, value: string): void {
		const before = read(name);
		if (before === undefined || before === value) return;
		this.#undoLog.record(KEY + name, before);
		writeFileSync(fileOf(name), value);
	}

	/** The same for a parameter of one interface: `setIpv4("eth0.7", "rp_filter", "2")`. */
	setIpv4(interfaceName: string, parameter: string, value: string): void {
		this.set(`net.ipv4.conf.${slashed(interfaceName)}.${parameter}`, value);
	}

	setIpv6(interfaceName: string, parameter: string, value: string): void {
		this.set(`net.ipv6.conf.${slashed(interfaceName)}.${parameter}`, value);
	}

	/** Writes original values back: of these parameters, or of all. Does not throw. */
	restore(names?: readonly string[]): void {
		for (const { object, before } of this.#undoLog.entries(KEY)) {
			if (names !== undefined && !names.includes(object)) continue;
			try {
				writeFileSync(fileOf(object), before);
			} catch {
				// The interface is gone, and its parameters with it.
			}
			this.#undoLog.remove(KEY + object);
		}
	}
}

/** A dot in an interface's name is written as a slash in a parameter's name (sysctl(8)). */
function slashed(interfaceName: string): string {
	return interfaceName.replaceAll(".", "/");
}

/** "net.ipv4.conf.eth0/7.rp_filter" → "/proc/sys/net/ipv4/conf/eth0.7/rp_filter" */
function fileOf(name: string): string {
	return `/proc/sys/${name.replaceAll(/[./]/g, (mark) => (mark === "." ? "/" : "."))}`;
}

function read(name: string): string | undefined {
	try {
		return readFileSync(fileOf(name), "utf8").trim();
	} catch {
		return undefined;
	}
}
