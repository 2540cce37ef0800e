// datagram-lookup.ts - the look-up that a datagram socket of Node calls for each destination, and for what it binds.
//
// Node looks an address up after it has checked the arguments, so here is where a destination's address is known.
//
// Owns: which call of Node's belongs to which call of the program's. Must never: look up what the program did not ask
// for.

import type { SocketOptions } from "node:dgram";
import { lookup as dnsLookup } from "node:dns";

type Lookup = NonNullable<SocketOptions["lookup"]>;
type Done = (error: Error | null, address?: string, family?: number) => void;

/** An address has been found. `answer` lets Node go on with it, or with an error. */
type Found = (address: string, answer: (error?: Error) => void, name: string) => void;

export class DatagramLookup {
	/** Whether the program's own function looks up, literal addresses too. */
	readonly isOwn: boolean;
	readonly #lookup: (name: string, family: 4 | 6, done: Done) => void;
	#mode: "connect" | "plain" | "literal" | Found = "connect";
	#connect: Found | undefined;

	constructor(lookup: Lookup | undefined) {
		this.isOwn = typeof lookup === "function";
		this.#lookup = (lookup ?? dnsLookup) as never;
	}

	/** The option `lookup` of Node's socket. */
	readonly run = (name: string, family: 4 | 6, done: Done): void => {
		const mode = this.#mode;
		if (mode === "literal") {
			process.nextTick(done, null, name);
			return;
		}
		let found: Found | undefined;
		if (mode === "connect") {
			found = this.#connect;
			this.#connect = undefined;
		} else if (mode !== "plain") found = mode;
		if (found === undefined) {
			this.#lookup(name, family, done);
			return;
		}
		this.#lookup(name, family, (error, address, addressFamily) => {
			if (error || typeof address !== "string") done(error, address, addressFamily);
			else found(address, (failure) => (failure ? done(failure) : done(null, address, addressFamily)), name);
		});
	};

	/** Runs a call whose look-up is only a look-up. */
	plainly<T>(call: () => T): T {
		return this.#during("plain", call);
	}

	/** Runs a call that sends; `found` decides what happens with the address. */
	sending(found: Found, call: () => void): void {
		this.#during(found, call);
	}

	/** Between these two a datagram is sent to a literal address. */
	beginLiteral(): void {
		this.#mode = "literal";
	}

	endLiteral(): void {
		this.#mode = "connect";
	}

	/** Runs a call that connects, at once or when the socket is bound. */
	connecting(found: Found, call: () => void): void {
		this.#connect = found;
		try {
			call();
		} catch (error) {
			this.#connect = undefined;
			throw error;
		}
	}

	#during<T>(mode: "plain" | Found, call: () => T): T {
		this.#mode = mode;
		try {
			return call();
		} finally {
			this.#mode = "connect";
		}
	}
}
