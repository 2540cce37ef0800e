// run-file.ts - runs a pcap file through the packet program, without a network.

import type { TableSet } from "../policy/index.js";
import { addon, reasonName } from "./addon.js";
import { attempt } from "./attempt.js";
import type { SessionRow } from "./sessions.js";
import { type Counters, LOCAL_TARGET, Statistics, type StatisticsMemory } from "./statistics.js";

export interface FileRunOptions {
	/** Run the kernel's program, by BPF_PROG_TEST_RUN, instead of the one in user space; needs root. */
	readonly kernel?: boolean;
	/** Tables, each from the packet with index `at` on; by rising `at`. */
	readonly steps: readonly { readonly at?: number; readonly tables: TableSet }[];
	/** pcap, Ethernet. The clock is its timestamps, in nanoseconds; wallOffsetNs 0n makes it the wall clock too. */
	readonly input: string;
	/** What is sent on any link: pcap, Ethernet, nanoseconds, with the input's timestamps. */
	readonly output?: string;
	/** What is delivered out of the tunnel: pcap, raw IP. */
	readonly inner?: string;
	readonly sessions4?: number;
	readonly sessions6?: number;
	readonly fragments?: number;
	/** Indices of packets that the host sends, rising: a backend's session table sees them, and that is all. */
	readonly sent?: readonly number[];
	/** Ask `explain` about each packet's flow, just before the packet. */
	readonly explain?: boolean;
}

export interface FileRunResult {
	readonly counters: Counters;
	/** By target id: packets and bytes as sent; only those that are not 0. */
	readonly targets: Map<number, { packets: number; bytes: number }>;
	/** Of each packet, in order: its reason's name; of one that the host sends what it did to its session: "sent: nothing",
	 * "sent: renewed" or "sent: made". */
	readonly reasons: string[];
	/** Of each packet, in order: the id of the target that it was for; 0: none. */
	readonly packetTargets: Uint16Array;
	/** With `explain`: what it said of each packet. No reason where a packet is no flow's next one: malformed, a later
	 * fragment, an ICMP error. */
	readonly explained?: { readonly reasons: (string | undefined)[]; readonly targets: Uint16Array };
	/** What the session table holds at the end; idle as of the last packet. */
	readonly sessions: SessionRow[];
}

interface Binding {
	runFile(options: FileRunOptions): {
		statistics: StatisticsMemory;
		reasons: Buffer;
		packetTargets: Uint16Array;
		explainedReasons?: Buffer;
		explainedTargets?: Uint16Array;
		sessions: SessionRow[];
	};
}

/** Instead of reasons, in native/user/run_file.h. */
const FIRST_SENT = 250;
const SENT = ["sent: nothing", "sent: renewed", "sent: made"];

/** Runs a pcap file through the packet program, each packet at its own time; every call starts from nothing. */
export function runFile(options: FileRunOptions): FileRunResult {
	const raw = attempt("running a file", () => addon<Binding>().runFile(options));
	const statistics = new Statistics(raw.statistics);
	const targets = new Map<number, { packets: number; bytes: number }>();
	for (let id = 1; id <= LOCAL_TARGET; id++) {
		const count = statistics.target(id);
		if (count.packets > 0) targets.set(id, count);
	}
	return {
		counters: statistics.counters(),
		targets,
		reasons: [...raw.reasons].map((number) => SENT[number - FIRST_SENT] ?? reasonName(number)),
		packetTargets: raw.packetTargets,
		...(raw.explainedReasons && raw.explainedTargets
			? {
					explained: {
						reasons: [...raw.explainedReasons].map((number) => (number === 255 ? undefined : reasonName(number))),
						targets: raw.explainedTargets,
					},
				}
			: {}),
		sessions: raw.sessions,
	};
}
