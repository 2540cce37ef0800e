// pending.ts - datagrams of one service that are not finished: held until they can be routed, or unanswered by their
// target.
//
// Owns: both lists and their limits. Must never: send.

import type { SendCallback } from "./datagram-arguments.js";

/** Datagrams older than this are not sent again. */
const MAX_RESEND_AGE_MS = 2000;

export interface HeldDatagram {
	readonly bytes: Buffer;
	readonly callback: SendCallback | undefined;
}

export class PendingDatagrams {
	#held: HeldDatagram[] = [];
	#unanswered: { readonly bytes: Buffer; readonly at: number }[] = [];

	/** `limit`: how many datagrams of each list are stored, the latest ones. 0: no unanswered ones, and one held. */
	constructor(readonly limit: number) {}

	get isEmpty(): boolean {
		return this.#held.length === 0;
	}

	/** The machine has no route for it yet. */
	hold(datagram: HeldDatagram): void {
		this.#held = [...this.#held, datagram].slice(-Math.max(this.limit, 1));
	}

	takeHeld(): HeldDatagram[] {
		return this.#held.splice(0);
	}

	/** It was sent to a target. */
	sentToTarget(bytes: Buffer): void {
		if (this.limit > 0) this.#unanswered = [...this.#unanswered, { bytes, at: Date.now() }].slice(-this.limit);
	}

	/** The target has replied: nothing before that is sent again. */
	answered(): void {
		this.#unanswered = [];
	}

	takeUnanswered(): Buffer[] {
		const oldest = Date.now() - MAX_RESEND_AGE_MS;
		return this.#unanswered.splice(0).flatMap(({ bytes, at }) => (at > oldest ? [bytes] : []));
	}
}
