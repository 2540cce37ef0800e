// clients.ts - up to ten million clients, in columns: the target of each, and the time of its next event.
//
// Owns: the columns, their free places, and a calendar queue with a list of places for each step of time (Brown, CACM
// 1988, with days of one step). Must never: allocate an object per client.

const NONE = -1;

export class Clients {
	/** The two hashes of a client: of its first and of its second row. */
	first: Uint32Array;
	second: Uint32Array;
	/** 0: the place is free. */
	target: Uint16Array;
	gateway: Uint8Array;
	/** 1: the gateway has a session for it, until step `forgotten` or, without a lease, until its end. */
	remembered: Uint8Array;
	/** The step of its end. */
	end: Int32Array;
	forgotten: Int32Array;
	/** The step at which its lease is renewed; NEVER: it has no lease. */
	renewal: Int32Array;
	/** Places that have been in use. */
	used = 0;
	live = 0;
	#next: Int32Array;
	#free = NONE;
	#calendar: Int32Array;

	constructor(steps: number, room: number) {
		this.first = new Uint32Array(room);
		this.second = new Uint32Array(room);
		this.target = new Uint16Array(room);
		this.gateway = new Uint8Array(room);
		this.remembered = new Uint8Array(room);
		this.end = new Int32Array(room);
		this.forgotten = new Int32Array(room);
		this.renewal = new Int32Array(room);
		this.#next = new Int32Array(room);
		this.#calendar = new Int32Array(steps).fill(NONE);
	}

	add(): number {
		this.live++;
		if (this.#free !== NONE) {
			const place = this.#free;
			this.#free = this.#next[place]!;
			return place;
		}
		if (this.used === this.target.length) this.#grow();
		return this.used++;
	}

	remove(place: number): void {
		this.live--;
		this.target[place] = 0;
		this.#next[place] = this.#free;
		this.#free = place;
	}

	/** Schedules its next event; one after the end of the run is dropped. */
	schedule(place: number): void {
		let step = Math.min(this.end[place]!, this.renewal[place]!);
		if (this.remembered[place] === 1) step = Math.min(step, this.forgotten[place]!);
		if (step >= this.#calendar.length) return;
		this.#next[place] = this.#calendar[step]!;
		this.#calendar[step] = place;
	}

	/**
	 * Calls `each` for every client with an event at this step. It may remove the client, or schedule it for a later
	 * step.
	 */
	due(step: number, each: (place: number) => void): void {
		let place = this.#calendar[step]!;
		this.#calendar[step] = NONE;
		while (place !== NONE) {
			const next = this.#next[place]!;
			each(place);
			place = next;
		}
	}

	#grow(): void {
		const room = Math.ceil(this.target.length * 1.5) + 1024;
		const enlarged = <T extends Uint32Array | Int32Array | Uint16Array | Uint8Array>(to: T, from: T): T => {
			to.set(from);
			return to;
		};
		this.first = enlarged(new Uint32Array(room), this.first);
		this.second = enlarged(new Uint32Array(room), this.second);
		this.target = enlarged(new Uint16Array(room), this.target);
		this.gateway = enlarged(new Uint8Array(room), this.gateway);
		this.remembered = enlarged(new Uint8Array(room), this.remembered);
		this.end = enlarged(new Int32Array(room), this.end);
		this.forgotten = enlarged(new Int32Array(room), this.forgotten);
		this.renewal = enlarged(new Int32Array(room), this.renewal);
		this.#next = enlarged(new Int32Array(room), this.#next);
	}
}

/** A step that never comes. */
export const NEVER = 2_147_483_647;
