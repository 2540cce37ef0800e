// explained.ts - the third witness: what `explain` said of a packet's flow, against what became of the packet.
//
// Owns: which answers go together. explain follows the packet program with code of its own (native/engine/explain.cc), so
// it may be wrong where both engines agree.

import type { FileRunResult } from "../../src/engine/index.js";

const SENT = ["forwarded", "forwarded_new", "forwarded_moved", "no_next_hop", "table_missing"];

/** By the reason a packet left by: what explain may have said of it. Packets that are malformed, or are the backend's, are
 * none of its business. */
const COMPATIBLE: Record<string, string[]> = {
	forwarded: ["forwarded"],
	forwarded_new: ["forwarded_new"],
	forwarded_evicting: ["forwarded_new"],
	forwarded_unlisted: ["forwarded_new"],
	forwarded_moved: ["forwarded_moved"],
	no_target: ["no_target"],
	no_next_hop: ["no_next_hop"],
	direct: ["direct"],
	// A packet straight to a backend may have a bad source or checksum, of which a flow says nothing.
	not_service: ["not_service", "direct"],
	not_service_port: ["not_service_port"],
	table_missing: ["table_missing"],
	// Its size is looked at before all that is needed to send it.
	too_big: SENT,
	too_big_dropped: SENT,
};
const ALWAYS_EXPLAINED = ["forwarded", "forwarded_new", "forwarded_evicting", "forwarded_moved"];

/** The first packet of which explain said something else than what became of it, in words; undefined: it was right. */
export function contradiction(result: FileRunResult): string | undefined {
	const explained = result.explained;
	if (explained === undefined) return "explain was not asked";
	for (const [i, reason] of result.reasons.entries()) {
		const said = explained.reasons[i];
		const compatible = COMPATIBLE[reason];
		if (said === undefined ? !ALWAYS_EXPLAINED.includes(reason) : compatible === undefined) continue;
		const targets = [explained.targets[i], result.packetTargets[i]];
		if (said !== undefined && compatible?.includes(said) && targets[0] === targets[1]) continue;
		return `packet ${i}: explain said ${said}, target ${targets[0]}; it was ${reason}, target ${targets[1]}`;
	}
	return undefined;
}
