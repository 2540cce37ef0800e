/**
 * Kernel settings (sysctl), by /proc/sys.
 *
 * Owns: those it has changed, and their values from before, for a clean end.
 * Must never: change a setting for all interfaces at once; where one stands in the way, it says so.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { type ErrorCode, ShuntError } from "../errors.js";

export class Settings {
	#before = new Map<string, string>();

	/** Throws the error, with the field `setting`, unless the value is right. A setting that is not there is. */
	require(setting: string, right: (value: string) => boolean, code: ErrorCode): void {
		const value = read(setting);
		if (value !== undefined && !right(value)) throw new ShuntError(code, { setting });
	}

	set(setting: string, value: string): void {
		const before = read(setting);
		if (before === undefined || before === value) return;
		writeFileSync(fileOf(setting), value);
		this.#before.set(setting, before);
	}

	restore(): void {
		for (const [setting, value] of this.#before) {
			try {
				writeFileSync(fileOf(setting), value);
			} catch {
				// The interface is gone, and its settings with it.
			}
		}
		this.#before.clear();
	}
}

/** "net.ipv4.conf.eth0.rp_filter"; an interface's own dots stand as slashes, as sysctl(8) has it. */
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
