/**
 * What this kernel lacks of what XDP and the host agent need, as its probes found it, and the sentence that says so.
 *
 * Owns: the least supported release (docs/engines.md), and the refusal SHUNT_KERNEL_TOO_OLD.
 * Must never: refuse a kernel for its version alone: a kernel that has every feature is tried.
 */
import { release } from "node:os";
import { ShuntError } from "../errors.js";
import { addon } from "./addon.js";

/** The oldest release whose verifier is known to accept every program: scripts/kernels boots it in CI. */
export const OLDEST_KERNEL = "6.1";

export interface KernelFeature {
	/** A noun. */
	readonly name: string;
	/** The release of Linux that brought it; for the operator, never compared. */
	readonly since: string;
	readonly forXdp: boolean;
	readonly forAgent: boolean;
	readonly present: boolean;
}

let probed: readonly KernelFeature[] | undefined;

/** Probed once in a process. */
export function kernelFeatures(): readonly KernelFeature[] {
	probed ??= addon<{ kernelFeatures(): KernelFeature[] }>().kernelFeatures();
	return probed;
}

/** Throws SHUNT_KERNEL_TOO_OLD unless every feature for this use is present. */
export function requireKernel(
	use: "xdp" | "agent",
	features: readonly KernelFeature[] = kernelFeatures(),
	kernel: string = release(),
): void {
	const needed = features.filter(({ forXdp, forAgent }) => (use === "xdp" ? forXdp : forAgent));
	const missing = needed.filter(({ present }) => !present).map(({ name, since }) => `${name} (Linux ${since})`);
	if (missing.length === 0) return;
	const what = use === "xdp" ? "XDP" : "The host agent";
	throw new ShuntError("SHUNT_KERNEL_TOO_OLD", {
		what,
		why: `Linux ${kernel} lacks ${listOf(missing)}; ${OLDEST_KERNEL} or later is needed`,
	});
}

/** To end the kernel's own refusal with: empty unless the kernel is older than any that is tested. */
export function kernelAdvice(kernel: string = release()): string {
	return compareReleases(kernel, OLDEST_KERNEL) < 0
		? `; Linux ${kernel} is older than ${OLDEST_KERNEL}, the oldest that is tested`
		: "";
}

function compareReleases(one: string, other: string): number {
	const numbers = (text: string) => text.split(/[.-]/).map(Number);
	const [a, b] = [numbers(one), numbers(other)];
	return (a[0] as number) - (b[0] as number) || (a[1] ?? 0) - (b[1] ?? 0);
}

function listOf(words: readonly string[]): string {
	return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
