/**
 * Where an operator's run-time overrides are kept over restarts.
 *
 * Owns: the file: under /var/lib, so that a backend that drains for a reboot still drains after it; of a daemon in
 * another network namespace than process 1's under /run, by the namespace, which ends with the host at the latest.
 * Must never: leave half a file, or stay without content: with the last override the file goes.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { type DrainOverride, NO_OVERRIDES, type Overrides, type WeightOverride } from "../config/index.js";
import { isHostNamespace, networkNamespace } from "../host/interfaces.js";

/** Changes with the file's format. */
const VERSION = 1;

export class OverrideFile {
	readonly path: string;

	constructor(daemon: string, path = usualPath(daemon)) {
		this.path = path;
	}

	/** None if there is no file. Throws if its content cannot be understood. */
	read(): Overrides {
		let text: string;
		try {
			text = readFileSync(this.path, "utf8");
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === "ENOENT") return NO_OVERRIDES;
			throw error;
		}
		const { version, drains, weights } = JSON.parse(text) as Overrides & { version: unknown };
		if (version !== VERSION) throw new Error(`it is of version ${version}; must be ${VERSION}`);
		if (!Array.isArray(drains) || !drains.every(isDrain)) throw new Error("its drains are not valid");
		if (!Array.isArray(weights) || !weights.every(isWeight)) throw new Error("its weights are not valid");
		return { drains, weights };
	}

	/** Throws if it cannot be written: then the override must not take effect. */
	write({ drains, weights }: Overrides): void {
		if (drains.length === 0 && weights.length === 0) {
			rmSync(this.path, { force: true });
			return;
		}
		mkdirSync(dirname(this.path), { recursive: true });
		writeFileAtomic.sync(this.path, `${JSON.stringify({ version: VERSION, drains, weights })}\n`);
	}
}

function usualPath(daemon: string): string {
	if (isHostNamespace()) return `/var/lib/shunt/${daemon}.overrides`;
	return `/run/shunt/${daemon}.${networkNamespace()}.overrides`;
}

function isDrain(value: Partial<DrainOverride>): boolean {
	const { backend, since, until } = value ?? {};
	return typeof backend === "string" && isTime(since) && (until === null || isTime(until));
}

function isWeight(value: Partial<WeightOverride>): boolean {
	const { service, backend, weight, since } = value ?? {};
	return typeof service === "string" && typeof backend === "string" && Number.isInteger(weight) && isTime(since);
}

function isTime(value: unknown): boolean {
	return typeof value === "number" && Number.isFinite(value);
}
