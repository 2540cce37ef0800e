// flow.ts - one machine with what it needs of the world: a clock, random numbers, and hands that do what it decides.
//
// Owns: the timer that wakes the machine, and the order in which its actions are done.
// Must never: decide anything (machine.ts does), or hold a socket.

import { randomBytes } from "node:crypto";
import { CONTROL_SIZE, encodeControl, encodeHeader, type Header, parseAddress } from "../wire/index.js";
import type { Endpoint } from "./endpoint.js";
import {
	type Action,
	type Counters,
	Machine,
	type MachineEvent,
	type Route,
	type Settings,
	type Turn,
} from "./machine.js";
import type { Memory } from "./memory.js";

export const PROTOCOL = { udp: 17, tcp: 6 } as const;
export type Protocol = keyof typeof PROTOCOL;

/** What a flow has done for it. */
export interface Hands {
	/** To the gateway. */
	ask(to: Endpoint, datagram: Uint8Array): void;
	/** To a target, from where its refusal is heard. */
	probe(to: Endpoint, datagram: Uint8Array): void;
	bind(target: Endpoint): void;
	unbind(target: Endpoint): void;
	resend(target: Endpoint): void;
	tell(event: MachineEvent): void;
	/** Something has come, or time has passed: what waits may ask for its way again. */
	moved?(): void;
}

export class Flow {
	readonly machine: Machine;
	readonly protocol: Protocol;
	readonly #hands: Hands;
	#timer: NodeJS.Timeout | undefined;
	#timerAt = Infinity;
	#held = true;

	constructor(protocol: Protocol, service: Endpoint, settings: Partial<Settings>, memory: Memory, hands: Hands) {
		this.machine = new Machine(service, settings, memory);
		this.protocol = protocol;
		this.#hands = hands;
	}

	get service(): Endpoint {
		return this.machine.service;
	}

	get counters(): Counters {
		return this.machine.counters;
	}

	route(): Route {
		const route = this.machine.route(turn());
		this.#do(route.actions);
		return route;
	}

	receive(header: Header, from: Endpoint): void {
		this.#do(this.machine.receive(turn(), header, from));
		this.#hands.moved?.();
	}

	/** Whether this is the answer to what the flow has just asked, from where it asked. */
	expects({ type, nonce }: Header, from: Endpoint): boolean {
		return type === "redirect" && from.address === this.service.address && this.machine.expects(nonce);
	}

	replay(): Endpoint | undefined {
		return this.machine.replay(turn());
	}

	heard(from: Endpoint): void {
		this.#do(this.machine.heard(turn(), from));
	}

	refused(at: Endpoint): void {
		this.#do(this.machine.refused(turn(), at));
		this.#hands.moved?.();
	}

	/** Whether its timer keeps the process running. It never does by itself: a question that nobody waits for may stay open. */
	ref(held: boolean): void {
		this.#held = held;
		if (held) this.#timer?.ref();
		else this.#timer?.unref();
	}

	close(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.machine.close();
	}

	#do(actions: readonly Action[]): void {
		for (const action of actions)
			if (action.do === "ask") this.#hands.ask(action.to, this.#datagram(action.header));
			else if (action.do === "probe") this.#hands.probe(action.to, this.#datagram(action.header));
			else if (action.do === "bind") this.#hands.bind(action.target);
			else if (action.do === "unbind") this.#hands.unbind(action.target);
			else if (action.do === "resend") this.#hands.resend(action.target);
			else this.#hands.tell(action.event);
		this.#wind();
	}

	#datagram(header: Header): Uint8Array {
		const { address, port } = this.service;
		const about = { protocol: PROTOCOL[this.protocol], port, address: parseAddress(address) as Uint8Array };
		return encodeControl(encodeHeader(header), about, undefined, CONTROL_SIZE);
	}

	/** To the moment at which the machine has something to do, a day at most: setTimeout knows no more than 24 of them. A timer that is
	 * set already and is no later stays: it finds nothing to do then, and is set anew. Each datagram moves that moment. */
	#wind(): void {
		const due = this.machine.due;
		if (this.#timer !== undefined && this.#timerAt <= due) return;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (due === Infinity) return;
		this.#timerAt = due;
		const tick = () => {
			this.#timer = undefined;
			this.#do(this.machine.tick(turn()));
			this.#hands.moved?.();
		};
		this.#timer = setTimeout(tick, Math.min(Math.max(due - Date.now(), 0), 86_400_000));
		if (!this.#held) this.#timer.unref();
	}
}

function turn(): Turn {
	return { now: Date.now(), random: () => randomBytes(8).readBigUInt64BE() };
}
