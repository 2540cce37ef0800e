// clients.ts - ten million clients, in columns: which target each has, and when something will happen to it next.
//
// Owns: the columns, the free places in them, and a calendar with a list of places for each step of time (Brown, CACM 1988, with
// a day of one step). Must never: make an object for a client.

const NONE = -1;

export class Clients {
	/** Two hashes of each: of its first row and of its second. */
	first: Uint32Array;
	second: Uint32Array;
	/** 0: nobody is in this place. */
	target: Uint16Array;
	gateway: Uint8Array;
	/** The gateway remembers it until `forgotten`; it has no lease: as long as it lives. */
	remembered: Uint8Array;
	/** Steps. */
	end: Int32Array;
	forgotten: Int32Array;
	/** NEVER: it has no lease. */
	renewal: Int32Array;
	/** Places that were ever used. */
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

	/** When something is to be done for it; what lies after the run's end is not remembered. */
	schedule(place: number): void {
		let step = Math.min(this.end[place]!, this.renewal[place]!);
		if (this.remembered[place] === 1) step = Math.min(step, this.forgotten[place]!);
		if (step >= this.#calendar.length) return;
		this.#next[place] = this.#calendar[step]!;
		this.#calendar[step] = place;
	}

	/** Everybody with something to be done at this step; each may be removed or scheduled again meanwhile, for later. */
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
		const larger = <T extends Uint32Array | Int32Array | Uint16Array | Uint8Array>(made: T, from: T): T => {
			made.set(from);
			return made;
		};
		this.first = larger(new Uint32Array(room), this.first);
		this.second = larger(new Uint32Array(room), this.second);
		this.target = larger(new Uint16Array(room), this.target);
		this.gateway = larger(new Uint8Array(room), this.gateway);
		this.remembered = larger(new Uint8Array(room), this.remembered);
		this.end = larger(new Int32Array(room), this.end);
		this.forgotten = larger(new Int32Array(room), this.forgotten);
		this.renewal = larger(new Int32Array(room), this.renewal);
		this.#next = larger(new Int32Array(room), this.#next);
	}
}

/** A step that never comes. */
export const NEVER = 2_147_483_647;
