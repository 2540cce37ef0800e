// driver.ts - runs one machine: gives it the time and random numbers, wakes it, and hands its effects to an Effects.
//
// Owns: the timer that wakes the machine, and the order in which effects are carried out.
// Must never: decide anything (the machine does), or own a socket.

import { randomBytes } from "node:crypto";
import { CONTROL_SIZE, type Endpoint, encodeControl, encodeHeader, type Header, parseAddress } from "../wire/index.js";
import type { ServiceCache } from "./cache.js";
import {
	type Counters,
	type Effect,
	Machine,
	type Notification,
	type Route,
	type Settings,
	type Turn,
} from "./machine/index.js";

export const PROTOCOL = { udp: 17, tcp: 6 } as const;
export type Protocol = keyof typeof PROTOCOL;

/** setTimeout takes at most 24 days. */
const MAX_TIMEOUT_MS = 86_400_000;

/** Carries out the machine's effects. */
export interface Effects {
	/** Sends a control datagram to the gateway. */
	query(to: Endpoint, datagram: Uint8Array): void;
	/** Sends a control datagram to a target, from a socket that reports refusals to `refused`. */
	probe(to: Endpoint, datagram: Uint8Array): void;
	bind(target: Endpoint): void;
	unbind(target: Endpoint): void;
	resend(target: Endpoint): void;
	notify(event: Notification): void;
	/** An event was handled: what is held may be routed again. */
	progressed(): void;
}

export class MachineDriver {
	readonly machine: Machine;
	readonly #protocol: Protocol;
	readonly #effects: Effects;
	#timer: NodeJS.Timeout | undefined;
	#timerAt = Infinity;
	#referenced = true;

	constructor(
		protocol: Protocol,
		service: Endpoint,
		settings: Partial<Settings>,
		cache: ServiceCache,
		effects: Effects,
	) {
		this.machine = new Machine(service, settings, cache);
		this.#protocol = protocol;
		this.#effects = effects;
	}

	get service(): Endpoint {
		return this.machine.service;
	}

	get counters(): Counters {
		return this.machine.counters;
	}

	route(): Route {
		const route = this.machine.route(turn());
		this.#carryOut(route.effects);
		return route;
	}

	receive(header: Header, from: Endpoint): void {
		this.#carryOut(this.machine.receive(turn(), header, from));
		this.#effects.progressed();
	}

	/** Whether this is the answer to the open query, from the address that was queried. */
	expects({ type, nonce }: Header, from: Endpoint): boolean {
		return type === "redirect" && from.address === this.service.address && this.machine.expects(nonce);
	}

	replay(): Endpoint | undefined {
		return this.machine.replay(turn());
	}

	reply(from: Endpoint): void {
		this.#carryOut(this.machine.reply(turn(), from));
	}

	refused(at: Endpoint): void {
		this.#carryOut(this.machine.refused(turn(), at));
		this.#effects.progressed();
	}

	/** Whether the timer keeps the process running. */
	ref(referenced: boolean): void {
		this.#referenced = referenced;
		if (referenced) this.#timer?.ref();
		else this.#timer?.unref();
	}

	close(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.machine.close();
	}

	#carryOut(effects: readonly Effect[]): void {
		for (const effect of effects)
			if (effect.do === "query") this.#effects.query(effect.to, this.#datagram(effect.header));
			else if (effect.do === "probe") this.#effects.probe(effect.to, this.#datagram(effect.header));
			else if (effect.do === "bind") this.#effects.bind(effect.target);
			else if (effect.do === "unbind") this.#effects.unbind(effect.target);
			else if (effect.do === "resend") this.#effects.resend(effect.target);
			else this.#effects.notify(effect.event);
		this.#setTimer();
	}

	#datagram(header: Header): Uint8Array {
		const { address, port } = this.service;
		const about = { protocol: PROTOCOL[this.#protocol], port, address: parseAddress(address) as Uint8Array };
		return encodeControl(encodeHeader(header), about, undefined, CONTROL_SIZE);
	}

	/** For the moment at which the machine has something to do. A timer that is set for an earlier moment stays: it
	 * then finds nothing to do and is set again. Every datagram moves the moment, so this saves a timer per
	 * datagram. */
	#setTimer(): void {
		const due = this.machine.due;
		if (this.#timer !== undefined && this.#timerAt <= due) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (due === Infinity) return;
		this.#timerAt = due;
		const tick = () => {
			this.#timer = undefined;
			this.#carryOut(this.machine.tick(turn()));
			this.#effects.progressed();
		};
		this.#timer = setTimeout(tick, Math.min(Math.max(due - Date.now(), 0), MAX_TIMEOUT_MS));
		if (!this.#referenced) this.#timer.unref();
	}
}

const random = () => randomBytes(8).readBigUInt64BE();

function turn(): Turn {
	return { now: Date.now(), random };
}
