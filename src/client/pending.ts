// pending.ts - datagrams of one service that are not finished: held until they can be routed, or unanswered by their
// target.
//
// Owns: both lists and their limits, and copies of the unanswered datagrams, because the program may use its buffers
// again. Must never: send, or allocate for a datagram that is answered.

import { joinMessage, type Message, type SendCallback } from "./datagram-arguments.js";

/** Datagrams older than this are not sent again. */
const MAX_RESEND_AGE_MS = 2000;
/** What a place of the list holds at first. */
const PLACE_SIZE = 512;

export interface HeldDatagram {
	readonly bytes: Buffer;
	readonly callback: SendCallback | undefined;
}

interface Place {
	buffer: Buffer;
	length: number;
	at: number;
}

export class PendingDatagrams {
	#held: HeldDatagram[] = [];
	/** A ring: the latest `#count` places before `#next` are unanswered. */
	readonly #places: Place[] = [];
	#next = 0;
	#count = 0;

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
	sentToTarget(message: Message, offset: number | undefined, length: number | undefined, now: number): void {
		if (this.limit === 0) return;
		let place = this.#places[this.#next];
		if (place === undefined) {
			place = { buffer: Buffer.allocUnsafeSlow(PLACE_SIZE), length: 0, at: 0 };
			this.#places.push(place);
		}
		copyTo(place, message, offset, length);
		place.at = now;
		this.#next = (this.#next + 1) % this.limit;
		this.#count = Math.min(this.#count + 1, this.limit);
	}

	/** The target has replied: nothing before that is sent again. */
	answered(): void {
		this.#count = 0;
	}

	takeUnanswered(): Buffer[] {
		const oldest = Date.now() - MAX_RESEND_AGE_MS;
		const taken: Buffer[] = [];
		for (let i = this.#count; i > 0; i--) {
			const place = this.#places[(this.#next - i + this.limit) % this.limit];
			if (place !== undefined && place.at > oldest) taken.push(Buffer.from(place.buffer.subarray(0, place.length)));
		}
		this.#count = 0;
		return taken;
	}
}

function copyTo(place: Place, message: Message, offset: number | undefined, length: number | undefined): void {
	// Most datagrams are one whole buffer; the others are joined first.
	const bytes = message instanceof Uint8Array && offset === undefined ? message : joinMessage(message, offset, length);
	if (bytes.length > place.buffer.length) place.buffer = Buffer.allocUnsafeSlow(bytes.length);
	place.buffer.set(bytes);
	place.length = bytes.length;
}
