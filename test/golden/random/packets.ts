// packets.ts - IP packets at random, as clients and routers send them to the services of a world.
//
// Owns: whole packets, fragments, extension headers, ICMP errors that quote; what of them a redirection header's tag covers.
// Must never: spoil what it has made; frames.ts does.

import type { Flow } from "../../../src/wire/index.js";
import type { Dice } from "./dice.js";
import type { Draft } from "./draft.js";
import { Questions } from "./questions.js";
import { addressOf, isMapped, type World } from "./world.js";

/** What the tunnel adds to a packet, by the target's family. */
const OVERHEAD = { 4: 72, 6: 104 };
const RECENT = 48;

type Client = { -readonly [K in keyof Flow]: Flow[K] } & { source: Buffer; destination: Buffer };

export class Packets {
	readonly #dice: Dice;
	readonly #world: World;
	readonly #draft: Draft;
	/** Flows seen last, so that many packets find a session. */
	readonly #recent: Client[] = [];
	readonly questions: Questions;

	constructor(dice: Dice, world: World, draft: Draft) {
		this.questions = new Questions(dice, world);
		this.#dice = dice;
		this.#world = world;
		this.#draft = draft;
	}

	/** Writes one packet at the draft's end. Returns the flow that a tag would cover. */
	write(): Flow {
		const flow = this.#flow();
		const kind = this.#dice.weighed({ whole: 70, first: 6, later: 7, icmp: 10, other: 2 });
		if (kind === "icmp") return this.#icmp(flow);
		if (kind === "other") return this.#other(flow);
		if (kind !== "whole") return this.#fragment(flow, kind === "first");
		this.#whole(flow, 0);
		return flow;
	}

	/** Writes what a backend answers to one of the flows. Returns its family. */
	answer(): 4 | 6 {
		const flow = this.#flow();
		const { source, destination, sourcePort, destinationPort } = flow;
		const turned = {
			source: destination,
			destination: source,
			sourcePort: destinationPort,
			destinationPort: sourcePort,
		};
		if (this.#dice.once(10)) this.#fragment({ ...flow, ...turned }, this.#dice.once(2));
		else this.#whole({ ...flow, ...turned }, 0);
		return flow.family;
	}

	/** Of a client under one of the service's rules, mostly. */
	#source(family: 4 | 6, service: number): Buffer {
		const dice = this.#dice;
		const address = addressOf(dice, family);
		const rules = this.#world.rules.filter((rule) => rule.service === service);
		if (dice.once(80)) {
			if (family === 4) address[12] = dice.one([0, 127, 224, 255]);
			else if (dice.once(2)) address.fill(0, 0, dice.one([10, 15, 16]));
			else address[0] = 0xff;
			return address;
		}
		if (rules.length > 0 && !dice.once(4)) {
			const rule = dice.one(rules);
			rule.prefix.copy(address, 0, 0, rule.length >> 3);
			if (!dice.once(3)) rule.prefix.copy(address); // its first address
			if (dice.once(3)) address[15] = dice.below(4);
			const first = family === 4 ? 12 : 0; // a short prefix leaves an address of no host
			if (!dice.once(10)) address[first] = address[first] || 0x20;
		} else if (dice.once(2)) {
			address.fill(7, 12); // a crowd from one place
			address[15] = dice.below(64);
		}
		return address;
	}

	#flow(): Client {
		const dice = this.#dice;
		if (this.#recent.length > 0 && !dice.once(3)) return dice.one(this.#recent);
		const service = dice.one(this.#world.services);
		let family: 4 | 6 = isMapped(service.address) ? 4 : 6;
		if (dice.once(100)) family = 6;
		const flow: Client = {
			family,
			source: this.#source(family, service.id),
			destination: dice.once(60) ? addressOf(dice, family) : service.address,
			sourcePort: dice.once(200) ? 0 : dice.one([4000, 4001, dice.below(65_536)]),
			destinationPort: dice.once(40) ? dice.below(65_536) : dice.once(10) ? this.#world.controlPort : service.port,
			protocol: dice.once(30) ? dice.one([6, 17]) : service.protocol,
		};
		if (this.#world.direct.length > 0 && dice.once(5)) {
			const place = dice.one(this.#world.direct);
			if (family === place.family)
				Object.assign(flow, {
					destination: place.address,
					destinationPort: dice.once(20) ? 54 : place.port,
					protocol: this.#world.services.find(({ id }) => id === place.service)?.protocol ?? flow.protocol,
				});
		}
		if (this.#recent.length < RECENT) this.#recent.push(flow);
		else this.#recent[dice.below(RECENT)] = flow;
		return flow;
	}

	/** Bytes of payload behind what has been written since `start`. */
	#payload(start: number): number {
		const dice = this.#dice;
		if (dice.once(14)) {
			const target = dice.one(this.#world.targets);
			const fits = target.mtu - OVERHEAD[target.family] - (this.#draft.at - start);
			return Math.min(Math.max(fits + dice.between(-1, 2), 0), 9300);
		}
		if (dice.once(100)) return dice.between(3300, 3700); // about a page: in the kernel, the end of the first buffer
		if (dice.once(400)) return dice.between(4000, 9200);
		if (dice.once(4000)) return dice.between(32_600, 32_800);
		return dice.one([0, dice.below(40), dice.below(40), dice.below(100), dice.below(dice.one([300, 1500]))]);
	}

	#transport(flow: Client, start: number): void {
		const dice = this.#dice;
		const draft = this.#draft;
		const checksum = dice.once(8) ? dice.one([0, 0xffff]) : dice.below(65_536);
		if (flow.protocol === 17) {
			const at = draft.at;
			draft.udp(flow.sourcePort, flow.destinationPort, 0, checksum);
			if (dice.once(flow.destinationPort === this.#world.controlPort ? 2 : 8)) {
				const asked = this.questions.control(flow);
				draft.put(asked);
				draft.set16(at + 4, 8 + asked.length);
				return;
			}
			if (dice.once(6)) {
				const data = dice.below(40);
				draft.noise(dice, data);
				draft.put(this.questions.surplus(flow, 8 + data));
				draft.set16(at + 4, 8 + data);
				return;
			}
			const payload = this.#payload(start);
			draft.noise(dice, payload);
			const surplus = dice.once(8) ? dice.below(payload + 1) : 0;
			draft.set16(at + 4, 8 + payload - surplus);
		} else {
			if (dice.once(6)) {
				const options = this.questions.options();
				const at = draft.at;
				draft.tcp(flow.sourcePort, flow.destinationPort, dice.one([2, 2, 2, 0xc2, 16]), options.length, checksum);
				draft.bytes.set(options, at + 20);
				return;
			}
			const options = 4 * (dice.once(3) ? dice.below(11) : 0);
			draft.tcp(flow.sourcePort, flow.destinationPort, dice.one([2, 16, 24, 17, 4]), options, checksum);
			draft.noise(dice, this.#payload(start));
		}
	}

	/** IPv6 extension headers; the last of them names `last`. */
	#extensions(last: number, types: readonly number[]): void {
		for (const [i, type] of types.entries()) {
			const length = this.#dice.once(60) ? 255 : this.#dice.one([0, 0, 1, 3]);
			this.#draft.u8(types[i + 1] ?? last);
			this.#draft.u8(length);
			this.#draft.noise(this.#dice, (type === 51 ? (length + 2) * 4 : (length + 1) * 8) - 2);
		}
	}

	#extensionTypes(): number[] {
		const dice = this.#dice;
		if (!dice.once(6)) return [];
		return Array.from({ length: dice.one([1, 1, 2, 3, 6, 7]) }, () => dice.one([0, 43, 60, 60, 51]));
	}

	#fields(flow: Client): { source: Buffer; destination: Buffer; tos: number; options: number } {
		const dice = this.#dice;
		const options = dice.once(12) ? 4 * dice.between(1, 10) : 0;
		return { source: flow.source, destination: flow.destination, tos: dice.once(3) ? dice.below(256) : 0, options };
	}

	#whole(flow: Client, id: number): void {
		const start = this.#draft.at;
		const types = flow.family === 6 ? this.#extensionTypes() : [];
		const protocol = types[0] ?? flow.protocol;
		this.#draft.ip(flow.family, { ...this.#fields(flow), protocol, id, fragment: id & 1 ? 0x4000 : 0 }, () => {
			this.#extensions(flow.protocol, types);
			this.#transport(flow, start);
		});
	}

	/** The first holds ports, or too little; later ones hold anything. Neither's tag covers ports. */
	#fragment(flow: Client, first: boolean): Flow {
		const dice = this.#dice;
		const draft = this.#draft;
		const start = draft.at;
		const id = dice.below(4);
		const offset = first ? 0 : dice.between(1, 40);
		const more = first || dice.once(2);
		const body = () => {
			if (!first) draft.noise(dice, 8 * dice.below(20));
			else if (dice.once(10)) draft.noise(dice, dice.below(20));
			else this.#transport(flow, start);
		};
		if (flow.family === 4) {
			const fragment = (more ? 0x2000 : 0) | offset;
			draft.ip(4, { ...this.#fields(flow), protocol: flow.protocol, id, fragment }, body);
		} else {
			const before = this.#extensionTypes();
			const protocol = before[0] ?? 44;
			draft.ip(6, { ...this.#fields(flow), protocol }, () => {
				this.#extensions(44, before);
				const behind = first ? this.#extensionTypes() : [];
				draft.u16((behind[0] ?? flow.protocol) << 8);
				draft.u16((offset << 3) | (more ? 1 : 0));
				draft.u32(id);
				this.#extensions(flow.protocol, behind);
				body();
			});
		}
		return { ...flow, sourcePort: 0, destinationPort: 0 };
	}

	/** From a router or the client, about an answer of the service's to this flow. */
	#icmp(flow: Client): Flow {
		const dice = this.#dice;
		const draft = this.#draft;
		const source = dice.once(2) ? flow.source : addressOf(dice, flow.family);
		const protocol = flow.family === 4 ? 1 : 58;
		draft.ip(flow.family, { ...this.#fields(flow), source, protocol }, () => {
			draft.u8(dice.once(12) ? dice.below(256) : dice.one(flow.family === 4 ? [3, 11, 12] : [1, 2, 3, 4]));
			draft.u8(dice.below(6));
			draft.u16(0);
			draft.u32(dice.word());
			const start = draft.at;
			const answer: Client = {
				...flow,
				source: dice.once(20) ? flow.source : flow.destination,
				destination: flow.source,
				sourcePort: flow.destinationPort,
				destinationPort: flow.sourcePort,
			};
			const fields = { ...this.#fields(answer), fragment: dice.once(20) ? 0x0010 : 0 };
			const types = flow.family === 6 ? this.#extensionTypes() : [];
			const fragment = flow.family === 6 && dice.once(6);
			const last = fragment ? 44 : flow.protocol;
			draft.ip(flow.family, { ...fields, protocol: types[0] ?? last }, () => {
				this.#extensions(last, types);
				if (fragment) {
					draft.u16(flow.protocol << 8);
					draft.u16(dice.one([1, 1, 0, 9, 0xfff8]));
					draft.u32(dice.word());
				}
				this.#transport(answer, start);
			});
			// As much as routers quote, or too little.
			const whole = draft.at - start;
			if (dice.once(8)) draft.at = start + dice.below(Math.min(whole, 70) + 1);
			else if (!dice.once(10)) draft.at = start + Math.min(whole, flow.family === 4 ? 68 : 128);
		});
		return flow;
	}

	/** A ping, or a protocol that is no service's. */
	#other(flow: Client): Flow {
		const dice = this.#dice;
		const protocol = dice.one([1, 58, 47, 50, 132, 59, dice.below(256)]);
		this.#draft.ip(flow.family, { ...this.#fields(flow), protocol }, () => {
			this.#draft.u32(0x08000000);
			this.#draft.noise(dice, dice.below(60));
		});
		return flow;
	}
}
