// left-targets.ts - which sessions a change of shared targets would leave where their service no longer goes.
//
// A target that leaves the tables takes its sessions with it: they choose anew. A target that other services go on using
// stays in the tables, so the sessions of a service that no longer uses it have to be ended.
//
// Must never: name a session whose service still uses its backend at the same port on the same terms.

import type { TableIds } from "./ids.js";
import type { Snapshot } from "./records.js";
import type { Compiled } from "./tables.js";

/** A service by id, and targets that it has left. */
export interface LeftTargets {
	readonly service: number;
	readonly targets: number[];
}

interface InForce {
	readonly snapshot: Snapshot;
	readonly compiled: Pick<Compiled, "sets">;
}

export function leftTargets(before: InForce, after: InForce, ids: TableIds): LeftTargets[] {
	const nameIn = ({ snapshot }: InForce, key: string) => snapshot.targetSets?.get(key)?.name ?? key;
	const left: LeftTargets[] = [];
	for (const { key } of after.snapshot.services) {
		const [was, is] = [nameIn(before, key), nameIn(after, key)];
		const targets = before.compiled.sets.get(was)?.targets;
		if (was === is || targets === undefined) continue;
		const now = after.compiled.sets.get(is)!.targets;
		const gone = [...targets.keys()].filter((target) => !now.has(is + target.slice(was.length)));
		if (gone.length === 0) continue;
		left.push({ service: ids.services.get(key)!, targets: gone.map((target) => ids.targets.get(target)!) });
	}
	return left;
}
