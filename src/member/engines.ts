/**
 * Which engine a member runs, and why: the kernel's in the driver, the kernel's in its receive path, or the one in user space.
 *
 * Owns: the order in which they are tried, and what an interface must be able to do.
 * Must never: settle for another engine than the one that was asked for by name.
 */
import type { Config } from "../config/index.js";
import { host, pinnedMode } from "../engine/index.js";
import { ShuntError } from "../errors.js";

export type EngineKind = "native" | "generic" | "user";

/** Best first. */
const ALL: readonly EngineKind[] = ["native", "generic", "user"];

/** What an earlier daemon has attached comes first: to change the mode would mean to let packets pass for a moment. */
export function enginesToTry(
	config: Config,
	pins: string | undefined,
	interfaces: readonly string[],
): readonly EngineKind[] {
	if (config.engine.mode !== "auto") return [config.engine.mode];
	const there = pins === undefined ? undefined : interfaces.map((name) => pinnedMode(pins, name)).find(Boolean);
	return there === undefined ? ALL : [there, ...ALL.filter((kind) => kind !== there)];
}

/** <linux/netdev.h>, NETDEV_XDP_ACT_NDO_XMIT */
const TAKES_FRAMES = 4;

/** A driver may take a program and yet no frame that it sends on: such packets would vanish. To be asked once programs are
 * attached, since some drivers make room for such frames only then. */
export function requireFramesTaken(ifindexes: Iterable<number>): void {
	for (const ifindex of new Set(ifindexes)) {
		const features = host().xdpFeatures(ifindex);
		if (features !== null && !(features & TAKES_FRAMES))
			throw new ShuntError("SHUNT_XDP_NO_TRANSMIT", { interface: host().link(ifindex).name });
	}
}

/** Why this engine, in words for a person: what kept the better ones from it. */
export function whyEngine(
	config: Config,
	kind: EngineKind,
	refusals: readonly { kind: EngineKind; why: string }[],
): string {
	if (config.engine.mode !== "auto") return "as configured";
	if (refusals.length === 0)
		return kind === "native" ? "auto: the fastest that there is" : "auto: as an earlier daemon has left it";
	return `auto: ${refusals.map((one) => `not ${NAME[one.kind]}, ${one.why}`).join("; ")}`;
}

const NAME: Record<EngineKind, string> = { native: "native XDP", generic: "generic XDP", user: "user space" };

export function engineName(kind: EngineKind): string {
	return NAME[kind];
}
