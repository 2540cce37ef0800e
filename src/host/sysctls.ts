/**
 * Kernel settings (sysctl), by /proc/sys.
 *
 * Owns: those it has changed, and their values from before, in the journal.
 * Must never: change a setting for all interfaces at once.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Journal } from "./journal.js";

const KIND = "setting ";

export class Settings {
	constructor(readonly journal: Journal) {}

	/** A setting that this kernel does not have is passed over. */
	set(setting: string, value: string): void {
		const before = read(setting);
		if (before === undefined || before === value) return;
		this.journal.note(KIND + setting, before);
		writeFileSync(fileOf(setting), value);
	}

	restore(): void {
		for (const { what: setting, before } of this.journal.noted(KIND)) {
			try {
				writeFileSync(fileOf(setting), before);
			} catch {
				// The interface is gone, and its settings with it.
			}
			this.journal.forget(KIND + setting);
		}
	}
}

/** "net.ipv4.conf.eth0.rp_filter"; an interface's own dots are written as slashes, as sysctl(8) has it. */
function fileOf(setting: string): string {
	return `/proc/sys/${setting.replaceAll(/[./]/g, (mark) => (mark === "." ? "/" : "."))}`;
}

function read(setting: string): string | undefined {
	try {
		return readFileSync(fileOf(setting), "utf8").trim();
	} catch {
		return undefined;
	}
}
