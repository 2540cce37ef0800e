/**
 * Watches whether the services' ports have a socket on this host, several times a second: the end of a service's program
 * shows within that time, while its load report is due once a second.
 *
 * Owns: the period, the last state, and the warnings of it.
 * Must never: judge a socket; health/listening.ts does. Or take the lack of an answer for the lack of a socket.
 */
import { addressText, type Backend, redirectionsOf, type Service } from "../config/index.js";
import { host } from "../engine/index.js";
import {
	type Listening,
	type ListeningState,
	type LocalSocket,
	listening,
	listeningAdvice,
	missing,
	type ServicePlace,
	unbound,
} from "../health/index.js";
import { warnOnce } from "../member/warn-once.js";

const INTERVAL_MS = 250;
/** A program that starts with this host, or that binds an address as soon as the daemon has brought it, is not missed
 * at once. */
const GRACE_MS = 3000;

export interface PortWatchOptions {
	readonly places: () => readonly ServicePlace[];
	/** The places that reports name are others. */
	readonly changed: () => void;
	/** Gets each different problem once. */
	readonly warn: (problem: string) => void;
}

export class PortWatch {
	readonly #options: PortWatchOptions;
	#state: ListeningState = new Map();
	#missing: readonly Listening[] = [];
	#timer: NodeJS.Timeout | undefined;
	#closed = false;
	readonly #warnOnce: (problem: string) => void;

	constructor(options: PortWatchOptions) {
		this.#options = options;
		this.#warnOnce = warnOnce(options.warn);
	}

	start(): void {
		this.#look()
			.catch((error) => this.#warnOnce(`the services' sockets cannot be listed: ${(error as Error).message}`))
			.finally(() => {
				if (this.#closed) return;
				this.#timer = setTimeout(() => this.start(), INTERVAL_MS).unref();
			});
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	/** For load reports. */
	get missing(): readonly Listening[] {
		return this.#missing;
	}

	/** For this host's operator: sentences, of every place without a socket. */
	advice(): string[] {
		return this.#longMissing(performance.now()).map(listeningAdvice);
	}

	async #look(): Promise<void> {
		const places = this.#options.places();
		const sockets = await socketsOf(places);
		if (this.#closed) return;
		const now = performance.now();
		this.#state = listening(this.#state, places, sockets, now);
		for (const one of this.#longMissing(now)) this.#warnOnce(listeningAdvice(one));
		const before = this.#missing.map(({ service, port }) => `${service} ${port}`).join();
		this.#missing = missing(this.#state);
		if (this.#missing.map(({ service, port }) => `${service} ${port}`).join() !== before) this.#options.changed();
	}

	#longMissing(now: number): Listening[] {
		return unbound(this.#state).filter(({ since }) => now - since >= GRACE_MS);
	}
}

/** Where this backend's services receive what the tunnel brings. */
export function servicePlaces(self: Backend, services: readonly Service[]): ServicePlace[] {
	const found = new Map<string, ServicePlace>();
	for (const service of services)
		for (const { choices } of redirectionsOf(service))
			for (const { backend, port } of choices) {
				const { key, protocol, address, addressLength, health } = service;
				// Of several ports some may be open at times only; and each address of a prefix may have a socket of its own.
				if (backend === self.name && port !== 0 && addressLength === 128)
					found.set(`${key} ${port}`, { service: key, protocol, address, port, bound: health.bound });
			}
	return [...found.values()];
}

async function socketsOf(places: readonly ServicePlace[]): Promise<LocalSocket[]> {
	const ports = (protocol: "udp" | "tcp") => [
		...new Set(places.filter((one) => one.protocol === protocol && one.bound !== "ignore").map(({ port }) => port)),
	];
	const found = await Promise.all([host().boundSockets("tcp", ports("tcp")), host().boundSockets("udp", ports("udp"))]);
	return found.flat().map((socket) => ({ ...socket, address: addressText(socket.address) }));
}
