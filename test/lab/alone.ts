// alone.ts - which files of the lab share the machine with no other: those that measure times, or need a load to go on
// undisturbed.
//
// Owns: the list. vitest.config.ts puts them last, and turn.ts keeps every other file away meanwhile. Must never: hold a file
// because it fails beside others for a reason that is not known.

export const ALONE: readonly string[] = [
	"attacks",
	"change",
	"client",
	"control-port",
	"drain",
	"dump",
	"epochs",
	"every-server",
	"gateways",
	"health",
	"loads",
	"mptcp",
	"pktgen",
	"reroute",
	"resilience",
	"restart",
	"uplinks",
	"user-space",
];

export function isAlone(path: string): boolean {
	return ALONE.some((name) => path.endsWith(`/${name}.test.ts`));
}
