/**
 * Which engine a member runs, and why: XDP in the driver, XDP in the kernel's receive path, or the one in user space.
 *
 * Owns: the order in which they are tried, and what an interface must support.
 * Must never: run another engine than the one that was configured by name.
 */
import { readFileSync } from "node:fs";
import type { Config } from "../config/index.js";
import { type Channels, host, kernelAdvice, pinnedMode } from "../engine/index.js";
import { ShuntError } from "../errors.js";
import type { EngineMode } from "../host/offloads.js";

/** Fastest first. */
const ALL: readonly EngineMode[] = ["native", "generic", "user"];

const NAMES: Record<EngineMode, string> = { native: "native XDP", generic: "generic XDP", user: "user space" };

/** An attempt that failed. */
export interface Refusal {
	readonly mode: EngineMode;
	readonly why: string;
}

/** The mode that an earlier daemon has attached comes first: to change it would let packets pass unprocessed for a
 * moment. */
export function enginesToTry(
	config: Config,
	pins: string | undefined,
	interfaces: readonly string[],
): readonly EngineMode[] {
	if (config.engine.mode !== "auto") return [config.engine.mode];
	const attached = pins === undefined ? undefined : interfaces.map((name) => pinnedMode(pins, name)).find(Boolean);
	return attached === undefined ? ALL : [attached, ...ALL.filter((mode) => mode !== attached)];
}

/** <linux/netdev.h> */
const NETDEV_XDP_ACT_NDO_XMIT = 4;

/** A driver may run an XDP program and yet not accept frames by XDP_REDIRECT: such packets would be lost. To be called
 * with programs attached, because some drivers provide the queues for such frames only then. Throws
 * SHUNT_XDP_NO_TRANSMIT. */
export function requireRedirectTargets(ifindexes: Iterable<number>): void {
	for (const ifindex of new Set(ifindexes)) {
		const features = host().xdpFeatures(ifindex);
		if (features !== null && !(features & NETDEV_XDP_ACT_NDO_XMIT))
			throw new ShuntError("SHUNT_XDP_NO_TRANSMIT", { interface: host().link(ifindex).name });
	}
}

/** The kernel's nr_cpu_ids. */
function possibleProcessors(): number {
	const last = /(\d+)\s*$/.exec(readFileSync("/sys/devices/system/cpu/possible", "utf8"))?.[1];
	return Number(last ?? 0) + 1;
}

/** virtio_net attaches a program whether or not there is a transmit queue left for each processor; then it shares queues under a
 * lock. With more queue pairs in use than processors it takes queues that do not exist, and the kernel panics at the first
 * packet sent by XDP (virtnet_xdp_get_sq; seen on 6.1's and 6.12's source, and on 6.12). Throws SHUNT_XDP_QUEUES for that. To be
 * called before a program is attached. Returns what sharing costs, for an operator; undefined: nothing. */
export function checkQueues(
	interfaceName: string,
	channels: Channels | null = host().channels(interfaceName),
	processors: number = possibleProcessors(),
): string | undefined {
	if (channels === null || channels.driver !== "virtio_net") return undefined;
	const { combined, most } = channels;
	if (combined + processors <= most) return undefined;
	const needs =
		`${interfaceName}: virtio_net needs a queue pair for each of ${processors} processors besides the ${combined} in use, ` +
		`and the device has ${most}`;
	const remedy = `ethtool -L ${interfaceName} combined`;
	if (combined > processors)
		throw new ShuntError("SHUNT_XDP_QUEUES", {
			why: `${needs}; native XDP would crash the kernel. ${remedy} ${Math.max(most - processors, 1)} leaves enough`,
		});
	return most > processors
		? `${needs}; native XDP shares transmit queues under a lock. ${remedy} ${most - processors} leaves enough`
		: `${needs}; native XDP shares transmit queues under a lock. Give the virtual machine's NIC more queues`;
}

/** For an operator: why this engine runs, and why no faster one does. */
export function engineReason(config: Config, mode: EngineMode, refusals: readonly Refusal[]): string {
	if (config.engine.mode !== "auto") return "as configured";
	if (refusals.length === 0) return mode === "native" ? "auto: fastest engine" : "auto: engine of the earlier daemon";
	return `auto: ${[...byReason(refusals)].map(([why, modes]) => `not ${modes.join(" or ")}, ${why}`).join("; ")}`;
}

/** The modes that each reason refused, by name: a kernel that is too old refuses two at once. */
function byReason(refusals: readonly Refusal[]): Map<string, string[]> {
	const modes = new Map<string, string[]>();
	for (const { mode, why } of refusals) modes.set(why, [...(modes.get(why) ?? []), NAMES[mode]]);
	return modes;
}

export function engineName(mode: EngineMode): string {
	return NAMES[mode];
}

/** native/kernel/object.cc */
const VERIFIER_REFUSED = "the kernel refused";

/** The reason within an error, to end a sentence with. */
export function refusalReason(error: unknown): string {
	const { why, fields, message } = error as { why?: string; fields?: { why?: string }; message: string };
	const reason = (fields?.why ?? why ?? message).replace(/\.$/, "");
	return reason.startsWith(VERIFIER_REFUSED) ? reason + kernelAdvice() : reason;
}
