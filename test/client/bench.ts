// bench.ts - one machine on a test's clock, and the endpoints of its tests.

import { expect } from "vitest";
import {
	type Effect,
	Machine,
	type Notification,
	type Route,
	ServiceCache,
	type Settings,
	type Turn,
} from "../../src/client/index.js";
import {
	type Endpoint,
	FLAG,
	type Header,
	type HeaderType,
	type Prefix,
	parseAddress,
	parsePrefix,
} from "../../src/wire/index.js";

export const SERVICE: Endpoint = { address: "203.0.113.53", port: 53 };
export const CONTROL: Endpoint = { ...SERVICE, port: 3575 };
export const B1: Endpoint = { address: "198.51.100.11", port: 5353 };
export const B2: Endpoint = { address: "198.51.100.12", port: 5353 };
export const B3: Endpoint = { address: "198.51.100.13", port: 53 };
export const START = 1_700_000_000_000;

export const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text) as Prefix);

/** A machine, its clock, and its last effects. */
export class Bench {
	now = START;
	#nonce = 1n;
	readonly machine: Machine;
	readonly turn: Turn;
	effects: Effect[] = [];

	constructor(settings: Partial<Settings> = {}, cache = new ServiceCache(), service = SERVICE) {
		this.machine = new Machine(service, settings, cache);
		const bench = this;
		this.turn = {
			get now() {
				return bench.now;
			},
			random: () => bench.#nonce++ * 0x9e3779b97f4a7c15n,
		};
	}

	get state() {
		return this.machine.state(this.now);
	}

	route(): Route {
		const route = this.machine.route(this.turn);
		this.effects = [...route.effects];
		return route;
	}

	/** Where a datagram goes. */
	to(): Endpoint | string {
		const route = this.route();
		return route.go === "send" ? route.to : route.go;
	}

	after(ms: number): Effect[] {
		const end = this.now + ms;
		const all: Effect[] = [];
		while (this.machine.due <= end) {
			this.now = Math.max(this.now, this.machine.due);
			all.push(...this.machine.tick(this.turn));
		}
		this.now = end;
		all.push(...this.machine.tick(this.turn));
		this.effects = all;
		return all;
	}

	receive(header: Header, from: Endpoint = CONTROL): Effect[] {
		this.effects = this.machine.receive(this.turn, header, from);
		return this.effects;
	}

	get query(): Header {
		return this.effects.filter((one) => one.do === "query").at(-1)?.header as Header;
	}

	get events(): Notification[] {
		return this.effects.flatMap((one) => (one.do === "notify" ? [one.event] : []));
	}

	header(type: HeaderType, target: Endpoint, flags: number, more: Partial<Header> = {}): Header {
		const address = parseAddress(target.address) as Uint8Array;
		const v6 = target.address.includes(":") ? FLAG.ipv6 : 0;
		const issued = Math.floor(this.now / 1000);
		const fields = { port: target.port, lease: 0, hops: 0, keyId: 1, issued, nonce: 0n, address, tag: 7n };
		return { ...fields, type, flags: flags | v6, ...more };
	}

	redirect(target: Endpoint, flags: number, more: Partial<Header> = {}): Header {
		return this.header("redirect", target, flags | FLAG.redirect, more);
	}

	ack(target: Endpoint, nonce: bigint): Effect[] {
		return this.receive(this.header("probe-ack", target, 0, { nonce }), target);
	}

	/** Queried, redirected, probed and bound; its ticket. */
	bind(target: Endpoint, flags: number, more: Partial<Header> = {}): Header {
		this.route();
		const { nonce } = this.query;
		const ticket = this.redirect(target, flags, { nonce, ...more });
		this.receive(ticket);
		this.ack(target, nonce);
		expect(this.state).toBe("bound");
		return ticket;
	}
}

export const kinds = (effects: readonly Effect[]) => effects.map((one) => one.do);
