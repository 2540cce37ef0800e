/**
 * Where the kernel keeps what outlives a daemon: a folder of its own in a BPF file system.
 *
 * Owns: finding such a file system, or mounting one of our own at /run/shunt/bpf where there is none (in a mount namespace
 * of `ip netns exec`, say, /sys is a fresh one).
 * Must never: unmount anything.
 */
import { mkdirSync, statfsSync } from "node:fs";
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
