// explained.ts - the third witness: what `explain` said of a packet's flow, against what became of the packet.
//
// Owns: which answers go together. explain follows the packet program with code of its own (native/engine/explain.cc), so
// it may be wrong where both engines agree.

import type { FileRunResult } from "../../src/engine/index.js";
import { decodeFrame } from "../../src/wire/index.js";

const SENT = ["forwarded", "forwarded_new", "forwarded_moved", "forwarded_alone", "no_next_hop", "table_missing"];

/** By the reason a packet left by: what explain may have said of it. Packets that are malformed, or are the backend's, are
 * none of its business. */
const COMPATIBLE: Record<string, string[]> = {
	forwarded: ["forwarded"],
	forwarded_new: ["forwarded_new"],
	forwarded_evicting: ["forwarded_new"],
	forwarded_unlisted: ["forwarded_new"],
	forwarded_moved: ["forwarded_moved"],
	forwarded_alone: ["forwarded_alone"],
	// A flow's packet may be one that must not be answered.
	no_target: ["no_target", "refused"],
	refused: ["refused"],
	denied: ["denied", "refused"],
	no_next_hop: ["no_next_hop"],
	direct: ["direct"],
	uninvited: ["uninvited"],
	// A packet straight to a backend may have a bad source or checksum, of which a flow says nothing.
	not_service: ["not_service", "direct", "uninvited"],
	not_service_port: ["not_service_port"],
	table_missing: ["table_missing"],
	// Its size is looked at before all that is needed to send it.
	fragmented: SENT,
	too_big: SENT,
	too_big_dropped: SENT,
};
const ALWAYS_EXPLAINED = ["forwarded", "forwarded_new", "forwarded_evicting", "forwarded_moved", "forwarded_alone"];

/** The first packet of which explain said something else than what became of it, in words; undefined: it was right. */
export function contradiction(result: FileRunResult, frame: (i: number) => Uint8Array): string | undefined {
	const explained = result.explained;
	if (explained === undefined) return "explain was not asked";
	for (const [i, reason] of result.reasons.entries()) {
		const said = explained.reasons[i];
		const compatible = COMPATIBLE[reason];
		if (said === undefined ? !ALWAYS_EXPLAINED.includes(reason) : compatible === undefined) continue;
		const targets = [explained.targets[i], result.packetTargets[i]];
		if (said !== undefined && compatible?.includes(said) && targets[0] === targets[1]) continue;
		if (
			["not_service", "not_service_port"].includes(said ?? "") &&
			["too_big", "too_big_dropped", "table_missing"].includes(reason)
		)
			continue; // a tunnel packet that was sent on
		if (asks(frame(i))) continue; // a failure has another target than its flow, which is what explain was asked about
		return `packet ${i}: explain said ${said}, target ${targets[0]}; it was ${reason}, target ${targets[1]}`;
	}
	return undefined;
}

function asks(frame: Uint8Array): boolean {
	const { ip } = decodeFrame(frame);
	return ip?.udp?.control !== undefined || ip?.udp?.option !== undefined || ip?.tcp?.option !== undefined;
}
