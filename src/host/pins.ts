/**
 * The folder in a BPF file system that holds what outlives a daemon: maps, programs and attachments.
 *
 * Owns: finding such a file system, or mounting one at /run/shunt/bpf where there is none (in a mount namespace of
 * `ip netns exec`, /sys is a fresh one); and removing pins that no daemon takes over.
 * Must never: unmount anything, or let a mount that ends with this process pass for one that stays.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ShuntError } from "../errors.js";
import { command } from "./command.js";

/** <linux/magic.h> */
const BPF_FS_MAGIC = 0xcafe4a11;
const USUAL = "/sys/fs/bpf";
const OWN = "/run/shunt/bpf";

/** The pin folder of the daemon of this name in this network namespace; the engine creates it. Throws
 * SHUNT_PINS_FAILED. */
export async function pinFolder(daemon: string, namespace: string): Promise<string> {
	const mount = [OWN, USUAL].find(isBpf) ?? (await mountOwn());
	return `${mount}/shunt-${withoutDots(daemon)}-${namespace}`;
}

/** Whether pins in this folder stay when this process ends: process 1 has the same BPF file system mounted. In a mount
 * namespace of its own (`unshare -m`, `ip netns exec`, a unit's PrivateMounts=), a file system that was mounted there ends
 * with its last process. */
export function pinsStay(pins: string): boolean {
	try {
		const { dev } = statSync(dirname(pins), { bigint: true });
		return hasBpfMount(readFileSync("/proc/1/mountinfo", "utf8"), deviceText(dev));
	} catch {
		return false;
	}
}

/** `mountinfo`: of proc_pid_mountinfo(5). `device`: "0:35". */
export function hasBpfMount(mountinfo: string, device: string): boolean {
	return mountinfo.split("\n").some((line) => {
		const [mount, superblock] = line.split(" - ");
		return mount?.split(" ")[2] === device && superblock?.split(" ")[0] === "bpf";
	});
}

/** As glibc's major() and minor() read a dev_t. */
export function deviceText(dev: bigint): string {
	const major = ((dev >> 32n) & ~0xfffn) | ((dev >> 8n) & 0xfffn);
	const minor = ((dev >> 12n) & ~0xffn & 0xffffffffn) | (dev & 0xffn);
	return `${major}:${minor}`;
}

/** Removes all pins of a folder. An attachment ends with its pin: from then on, packets pass to the kernel's stack. */
export function unpin(pins: string): void {
	rmSync(pins, { recursive: true, force: true });
}

/** Removes the attachments to interfaces other than these. Throws if the folder does not exist. */
export function unpinOtherInterfaces(pins: string, interfaces: readonly string[]): void {
	const attached = new Set(interfaces.map((name) => `link-${withoutDots(name)}`)); // as the engine names them
	for (const name of readdirSync(pins)) if (name.startsWith("link-") && !attached.has(name)) rmSync(join(pins, name));
}

/** A BPF file system allows no dots in names. */
function withoutDots(name: string): string {
	return name.replaceAll(".", "+");
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
