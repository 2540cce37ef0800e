// capture-stream.ts - captured packets to display, by libpcap: live with a filter, or from a file.

import { addon } from "./addon.js";
import { attempt, attemptLater } from "./attempt.js";

export interface CaptureOptions {
	/** One of the two. */
	readonly interface?: string;
	readonly file?: string;
	/** As of pcap-filter(7). */
	readonly filter?: string;
	readonly snaplen?: number;
	readonly promiscuous?: boolean;
}

export interface CapturedPacket {
	/** Since 1970. */
	readonly timestampNs: bigint;
	/** On the wire; data may be shorter. */
	readonly length: number;
	readonly data: Buffer;
}

interface CaptureBinding {
	read(options: { max?: number; timeoutMs?: number }): Promise<{ packets: CapturedPacket[]; ended: boolean }>;
	close(): void;
	linktype(): number;
	dropped(): number;
}

interface Binding {
	readonly CaptureStream: new (options: CaptureOptions) => CaptureBinding;
}

export class CaptureStream {
	readonly #capture: CaptureBinding;

	constructor(options: CaptureOptions) {
		this.#capture = attempt("capturing", () => new (addon<Binding>().CaptureStream)(options));
	}

	/** At most `max` packets (default 64), waiting at most `timeoutMs` (default 100) for the first. `ended`: the file is
	 * at its end. One read at a time. */
	read(options: { max?: number; timeoutMs?: number } = {}): Promise<{ packets: CapturedPacket[]; ended: boolean }> {
		return attemptLater("capturing", () => this.#capture.read(options));
	}

	/** The DLT_ value of its packets: 1 Ethernet, 12 or 101 raw IP, 113 and 276 Linux cooked. */
	get linktype(): number {
		return this.#capture.linktype();
	}

	/** By the kernel, for want of room. */
	get dropped(): number {
		return this.#capture.dropped();
	}

	close(): void {
		this.#capture.close();
	}
}
