/**
 * The folder in a BPF file system that holds what outlives a daemon: maps, programs and attachments.
 *
 * Owns: finding such a file system, or mounting one at /run/shunt/bpf where there is none (in a mount namespace of
 * `ip netns exec`, /sys is a fresh one); and removing pins that no daemon takes over.
 * Must never: unmount anything, or let a mount that ends with this process pass for one that stays.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ShuntError } from "../errors.js";
import { command } from "./command.js";

/** <linux/magic.h> */
const BPF_FS_MAGIC = 0xcafe4a11;
const USUAL = "/sys/fs/bpf";
const OWN = "/run/shunt/bpf";

/** The pin folder of the daemon of this name in this network namespace; the engine creates it. undefined: no BPF file
 * system can be mounted. Throws SHUNT_PINS_UNSAFE: another user could put maps there, which this daemon would take for its
 * own. */
export async function pinFolder(daemon: string, namespace: string): Promise<string | undefined> {
	const mount = [OWN, USUAL].find(isBpf) ?? (await mountOwn());
	if (mount === undefined) return undefined;
	refuseUnsafeMount(mount);
	const folder = `${mount}/shunt-${withoutDots(daemon)}-${namespace}`;
	refuseUnsafeFolder(folder);
	return folder;
}

/** Root's; and others may at most add to it (the sticky bit), as to /tmp. */
export function refuseUnsafeMount(mount: string): void {
	const { uid, mode } = lstatSync(mount);
	const remedy = `chown root:root ${mount}; chmod 0700 ${mount}`;
	if (uid !== 0) throw new ShuntError("SHUNT_PINS_UNSAFE", { folder: mount, why: `it is user ${uid}'s`, remedy });
	if (mode & 0o022 && !(mode & 0o1000))
		throw new ShuntError("SHUNT_PINS_UNSAFE", { folder: mount, why: `its mode is ${modeText(mode)}`, remedy });
}

/** Not there, or root's own alone. */
export function refuseUnsafeFolder(folder: string): void {
	const found = lstatSync(folder, { throwIfNoEntry: false });
	if (found === undefined) return;
	const why = !found.isDirectory()
		? "it is no folder"
		: found.uid !== 0
			? `it is user ${found.uid}'s`
			: found.mode & 0o077
				? `its mode is ${modeText(found.mode)}`
				: undefined;
	if (why !== undefined) throw new ShuntError("SHUNT_PINS_UNSAFE", { folder, why, remedy: `rm -r ${folder}` });
}

function modeText(mode: number): string {
	return (mode & 0o7777).toString(8).padStart(4, "0");
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

/** undefined: this process may not mount. */
async function mountOwn(): Promise<string | undefined> {
	try {
		mkdirSync(OWN, { recursive: true, mode: 0o700 });
		if (!lstatSync(OWN).isDirectory()) return undefined;
		await command("mount", ["-t", "bpf", "-o", "mode=0700", "bpf", OWN]);
		return OWN;
	} catch {
		return undefined;
	}
}
