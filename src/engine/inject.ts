// inject.ts - sends frames on an interface at a rate, for measurements.

import { addon } from "./addon.js";
import { attemptLater } from "./attempt.js";

export interface InjectOptions {
	readonly interface: string;
	/** Ethernet frames, sent in turn. */
	readonly frames: readonly Buffer[];
	/** At least one of the two bounds. */
	readonly count?: number;
	readonly seconds?: number;
	/** More than 1: UDP or TCP source port and address run through so many flows, with right checksums. */
	readonly flows?: number;
	/** Default: as fast as the interface takes them. */
	readonly pps?: number;
	/** Default sendmmsg. */
	readonly transmit?: "ring" | "sendmmsg" | "pcap";
	/** Default true. */
	readonly qdiscBypass?: boolean;
}

export interface InjectResult {
	/** Taken by the interface. */
	readonly sent: number;
	/** Not taken, for want of room, and not sent again. */
	readonly full: number;
	/** Refused by the kernel: malformed, or the link is down. */
	readonly refused: number;
	readonly seconds: number;
}

interface Binding {
	inject(options: InjectOptions): Promise<InjectResult>;
}

/** Sends frames on an interface, as fast as it takes them unless a rate is given. */
export function inject(options: InjectOptions): Promise<InjectResult> {
	return attemptLater("injecting", () => addon<Binding>().inject(options));
}
