// questions.ts - what clients that can redirect themselves ask, at random: right, wrong and late.
//
// Owns: control datagrams, surplus areas and SYN options, for a flow of a world; tickets signed as its servers would have.
// Must never: write the headers around them; packets.ts does.

import {
	type About,
	capability,
	encodeControl,
	encodeHeader,
	encodeSurplus,
	encodeTcpCapability,
	FLAG,
	type Flow,
	type Header,
	headerLength,
	signHeader,
} from "../../../src/wire/index.js";
import type { Dice } from "./dice.js";
import { addressOf, isMapped, type World } from "./world.js";

const NONE = Buffer.alloc(0);

export class Questions {
	/** The wall clock's second. */
	now = 0;
	readonly #dice: Dice;
	readonly #world: World;

	constructor(dice: Dice, world: World) {
		this.#dice = dice;
		this.#world = world;
	}

	/** A control datagram's payload. */
	control(flow: Flow): Buffer {
		const dice = this.#dice;
		const about = this.#about(flow);
		const payload = Buffer.from(
			encodeControl(encodeHeader(this.#header(flow, about)), about, undefined, dice.once(12) ? 0 : 88),
		);
		if (dice.once(12)) payload[dice.below(payload.length)] = dice.below(256);
		return dice.once(20) ? payload.subarray(0, dice.below(payload.length)) : payload;
	}

	/** A surplus area, behind a datagram of this length. */
	surplus(flow: Flow, length: number): Buffer {
		const dice = this.#dice;
		const about = { protocol: flow.protocol, port: flow.destinationPort, address: flow.destination };
		const header = this.#header(flow, about);
		const size = headerLength(header.flags) + 7 + dice.one([0, 100, 100, dice.below(160)]);
		const area = Buffer.from(encodeSurplus(encodeHeader(header), length % 2 === 1, size));
		if (dice.once(10)) area[dice.below(area.length)] = dice.below(256);
		return area;
	}

	/** A SYN's options. */
	options(): Buffer {
		const dice = this.#dice;
		const ours = Buffer.from(encodeTcpCapability(dice.word64()));
		if (dice.once(5)) ours[dice.below(ours.length)] = dice.below(256);
		const before = dice.one([
			NONE,
			Buffer.from("020405b4", "hex"),
			Buffer.from("020405b40402080a000000010000000001030307", "hex"),
		]);
		const all = Buffer.concat([before, ours, Buffer.alloc(2, dice.one([0, 1]))]);
		return all.subarray(0, all.length & ~3);
	}

	#about(flow: Flow): About {
		const dice = this.#dice;
		const here = this.#world.services.filter(({ address }) => address.equals(Buffer.from(flow.destination)));
		const one = dice.one(here.length > 0 && !dice.once(20) ? here : this.#world.services);
		const about = { protocol: one.protocol, port: one.port, address: one.address };
		return dice.once(20) ? { ...about, port: dice.below(65_536) } : about;
	}

	#header(flow: Flow, about: About): Header {
		const dice = this.#dice;
		const world = this.#world;
		const own = world.own.some((address) => address.equals(Buffer.from(flow.destination)));
		const type = own
			? dice.weighed({ probe: 12, capability: 1, failure: 1 })
			: dice.weighed({ capability: 8, failure: 6, probe: 1, redirect: 1 });
		if (type === "capability") return capability(dice.word64());
		const target = dice.one(world.targets);
		const address = own ? dice.one(world.own) : dice.once(6) ? addressOf(dice, 4) : target.address;
		const key = dice.one(world.keys);
		const direct = world.direct.find((one) => one.address.equals(Buffer.from(address)));
		const lasts = dice.one([FLAG.leased, FLAG.leased, FLAG.permanent, FLAG.once, 0]);
		const header = {
			type,
			flags:
				FLAG.redirect |
				lasts |
				(type === "failure" ? FLAG.failure : 0) |
				(isMapped(Buffer.from(address)) ? 0 : FLAG.ipv6),
			port: own ? (direct?.port ?? 53) || 53 : target.port,
			lease: dice.one([0, 60, 65_535]),
			hops: dice.one([0, 0, 1, 2, 5, dice.below(7)]),
			keyId: dice.once(12) ? dice.below(256) : key.id,
			issued: (this.now - dice.one([0, 0, 0, dice.below(200), -dice.below(40)])) >>> 0,
			nonce: dice.word64(),
			address,
		};
		const of: Flow = {
			family: flow.family,
			source: dice.once(12) ? addressOf(dice, flow.family) : flow.source,
			destination: about.address,
			sourcePort: 0,
			destinationPort: about.port,
			protocol: about.protocol,
		};
		return signHeader(header, of, key.secret);
	}
}
