/**
 * Where the kernel keeps what outlives a daemon: a folder of its own in a BPF file system.
 *
 * Owns: finding such a file system, or mounting one of our own at /run/shunt/bpf where there is none (in a mount namespace
 * of `ip netns exec`, say, /sys is a fresh one); and taking away what an earlier daemon has left there and nobody takes over.
 * Must never: unmount anything.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { ShuntError } from "../errors.js";
import { command } from "./command.js";

/** <linux/magic.h> */
const BPF_FS_MAGIC = 0xcafe4a11;
const USUAL = "/sys/fs/bpf";
const OWN = "/run/shunt/bpf";

/** The folder of the daemon of this name, in this network namespace. The engine makes it. */
export async function pinsOf(name: string, namespace: string): Promise<string> {
	const place = [OWN, USUAL].find(isBpf) ?? (await mountOwn());
	// Such a file system takes no dots in names.
	return `${place}/shunt-${name.replaceAll(".", "+")}-${namespace}`;
}

/** Nobody takes over what is pinned here. An attachment ends with its pin: from then on, packets pass. */
export function unpin(pins: string): void {
	rmSync(pins, { recursive: true, force: true });
}

/** The same for attachments to other interfaces than these. */
export function unpinOtherLinks(pins: string, interfaces: readonly string[]): void {
	const ours = new Set(interfaces.map((name) => `link-${name.replaceAll(".", "+")}`)); // as the engine names them
	for (const name of readdirSync(pins)) if (name.startsWith("link-") && !ours.has(name)) rmSync(join(pins, name));
}

function isBpf(folder: string): boolean {
	try {
		return statfsSync(folder).type === BPF_FS_MAGIC;
	} catch {
		return false;
	}
}

async function mountOwn(): Promise<string> {
	try {
		mkdirSync(OWN, { recursive: true });
		await command("mount", ["-t", "bpf", "bpf", OWN]);
		return OWN;
	} catch (cause) {
		throw new ShuntError("SHUNT_PINS_FAILED", { folder: OWN, why: (cause as Error).message }, { cause });
	}
}
