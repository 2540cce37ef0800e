/**
 * Receive offloads: GRO and LRO merge packets into ones larger than the link's MTU before a capture sees them, which then
 * fit no link again.
 *
 * Owns: turning them off on the interfaces that are captured, and on again at a clean end.
 * Must never: touch an offload that a driver has fixed, or one that was off already.
 */
import { command, commandJson } from "./command.js";

const MERGING = [
	["generic-receive-offload", "gro"],
	["large-receive-offload", "lro"],
	["rx-gro-hw", "rx-gro-hw"],
	["rx-gro-list", "rx-gro-list"],
	["rx-udp-gro-forwarding", "rx-udp-gro-forwarding"],
] as const;

interface Feature {
	active?: boolean;
	fixed?: boolean;
}

export class Offloads {
	#turnedOff: { dev: string; names: string[] }[] = [];

	/** Returns what was turned off, in ethtool's words. A host without ethtool keeps its offloads. */
	async turnOff(dev: string): Promise<string[]> {
		const features = await featuresOf(dev);
		const names = MERGING.filter(([long]) => features[long]?.active && !features[long]?.fixed).map(
			([, short]) => short,
		);
		if (names.length === 0) return [];
		await command("ethtool", ["-K", dev, ...names.flatMap((name) => [name, "off"])]);
		this.#turnedOff.push({ dev, names });
		return names;
	}

	async restore(): Promise<void> {
		for (const { dev, names } of this.#turnedOff.splice(0))
			await command("ethtool", ["-K", dev, ...names.flatMap((name) => [name, "on"])]).catch(() => {});
	}
}

async function featuresOf(dev: string): Promise<Record<string, Feature>> {
	try {
		const [features] = await commandJson<Record<string, Feature>[]>("ethtool", ["--json", "-k", dev]);
		return features ?? {};
	} catch {
		return parseText(await command("ethtool", ["-k", dev]).catch(() => ""));
	}
}

/** "large-receive-offload: off [fixed]", as ethtool says it without --json. */
function parseText(text: string): Record<string, Feature> {
	return Object.fromEntries(
		[...text.matchAll(/^\s*([\w-]+): (on|off)( \[fixed\])?/gm)].map((m) => [
			m[1],
			{ active: m[2] === "on", fixed: m[3] !== undefined },
		]),
	);
}
