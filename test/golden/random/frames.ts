// frames.ts - Ethernet frames at random: packets as they come from outside or out of a tunnel, some of them spoiled.
//
// Owns: tunnel packets with right and wrong headers, VLAN tags, padding, and damage.
// Must never: make a frame shorter than Ethernet's header; no driver hands one on, so the kernel's engine can't get it.

import { encodeHeader, FLAG, type Flow, type Header, headerLength, signHeader } from "../../../src/wire/index.js";
import type { Dice } from "./dice.js";
import type { Draft } from "./draft.js";
import { Packets } from "./packets.js";
import { addressOf, isMapped, type World } from "./world.js";

const ETHERTYPE = { 4: 0x0800, 6: 0x86dd };
const SHORTEST = 14;
const LONGEST = 65_000;

/** Of a header, before it is signed: what a receiver must refuse, or take. */
const HEADER_DAMAGE = { type: 2, hops: 2, port: 2, key: 3, issued: 4, elsewhere: 3, flags: 2 };
/** Of a tunnel packet, when all is written; the tag is then wrong, if it is looked at. */
const TUNNEL_DAMAGE = { bit: 4, version: 1, geneve: 2, option: 2, length: 2, ethertype: 2, cut: 2, short: 1 };

export class Frames {
	readonly #dice: Dice;
	readonly #world: World;
	readonly #draft: Draft;
	readonly #packets: Packets;
	/** Frames that may be sent again: where they stand. */
	readonly #again: [number, number][] = [];

	constructor(dice: Dice, world: World, draft: Draft) {
		this.#dice = dice;
		this.#world = world;
		this.#draft = draft;
		this.#packets = new Packets(dice, world, draft);
	}

	/** Writes one that the server sends, instead. */
	writeSent(): void {
		const dice = this.#dice;
		const draft = this.#draft;
		const start = draft.at;
		const ip = this.#behindLink(start, () => this.#packets.answer());
		if (dice.once(8)) this.#damage(start, ip);
		draft.at = Math.min(Math.max(draft.at, start + SHORTEST), start + LONGEST);
	}

	/** Writes one frame at the draft's end. `now` is the wall clock's second. */
	write(now: number): void {
		this.#packets.questions.now = now;
		const dice = this.#dice;
		const draft = this.#draft;
		const start = draft.at;
		const backend = (this.#world.roles & 2) !== 0;
		const kind = dice.weighed({ client: 70, tunnel: backend ? 45 : 3, again: 15, noise: 1, other: 1 });
		if (kind === "again" && this.#again.length > 0) {
			const [from, to] = dice.one(this.#again);
			draft.put(draft.bytes.subarray(from, to));
			return;
		}
		const tunnel = kind === "tunnel" ? dice.one(this.#world.own) : undefined;
		if (tunnel !== undefined) this.#link(isMapped(tunnel) ? 4 : 6);
		let ip = draft.at;
		if (tunnel !== undefined) {
			this.#tunnel(tunnel, now);
		} else if (kind === "noise") {
			draft.ethernet(dice.one([0x0800, 0x86dd, 0x8100, 0x88a8]), []);
			draft.put(dice.bytes(dice.below(100)));
		} else if (kind === "other") {
			draft.ethernet(dice.one([0x0806, 0x88cc, dice.below(65_536)]), []);
			draft.noise(dice, dice.one([28, 1500, 4000]));
		} else {
			ip = this.#behindLink(start, () => this.#packets.write());
		}
		if (dice.once(6)) draft.noise(dice, dice.one([1, 6, 18, 46, 3600]));
		if (dice.once(6)) this.#damage(start, ip);
		draft.at = Math.min(Math.max(draft.at, start + SHORTEST), start + LONGEST);
		if (this.#again.length < 64) this.#again.push([start, draft.at]);
		else this.#again[dice.below(64)] = [start, draft.at];
	}

	#link(family: 4 | 6): void {
		const dice = this.#dice;
		const tags = dice.once(5) ? dice.one([1, 1, 1, 2, 2, 3]) : 0;
		const type = dice.once(200) ? dice.one([0x0800, 0x86dd]) : ETHERTYPE[family];
		this.#draft.ethernet(
			type,
			Array.from({ length: tags }, () => dice.below(4096)),
		);
	}

	/** The family is known when the packet is there: written behind room for the link header, which then moves up to it. */
	#behindLink(start: number, write: () => unknown): number {
		const draft = this.#draft;
		const packet = start + 26;
		draft.at = packet;
		write();
		const end = draft.at;
		const family = (draft.bytes[packet] as number) >> 4 === 4 ? 4 : 6;
		draft.at = start;
		this.#link(family);
		const ip = draft.at;
		draft.bytes.copyWithin(ip, packet, end);
		draft.at = ip + end - packet;
		return ip;
	}

	#header(now: number): Omit<Header, "tag"> {
		const dice = this.#dice;
		const world = this.#world;
		const address = dice.one(world.own);
		const alternative = dice.once(8);
		const ipv6 = !isMapped(address);
		const header = {
			type: "forward" as const,
			flags:
				dice.one([0, FLAG.redirect, FLAG.redirect | FLAG.leased, FLAG.permanent, FLAG.once]) |
				(ipv6 ? FLAG.ipv6 : 0) |
				(alternative ? FLAG.alternative : 0),
			port: dice.one([53, 5353, dice.between(1, 65_535)]),
			lease: dice.below(65_536),
			hops: dice.between(0, world.maxHops),
			keyId: dice.one(world.keys).id,
			issued: now,
			nonce: dice.once(2) ? 0n : dice.word64(),
			address,
			...(alternative ? { alternative: { address: addressOf(dice, ipv6 ? 6 : 4), port: dice.between(0, 9) } } : {}),
		};
		if (dice.once(4)) header.issued = (now + dice.between(-world.windowS, world.windowS)) >>> 0;
		return dice.once(8) ? { ...header, ...this.#wrong(header, now) } : header;
	}

	#wrong(header: Omit<Header, "tag">, now: number): Partial<Header> {
		const dice = this.#dice;
		const window = this.#world.windowS;
		switch (dice.weighed(HEADER_DAMAGE)) {
			case "type":
				return { type: dice.one(["capability", "redirect", "probe", "revoke"]) };
			case "hops":
				return { hops: dice.between(0, 8) };
			case "port":
				return { port: 0 };
			case "key":
				return { keyId: dice.below(256) };
			case "issued":
				return { issued: (now + dice.one([-1, 1]) * (window + dice.between(0, 2))) >>> 0 };
			case "elsewhere":
				return { address: addressOf(dice, header.flags & FLAG.ipv6 ? 6 : 4) };
			case "flags":
				return { flags: header.flags ^ dice.one([FLAG.permanent, FLAG.once, FLAG.failure, FLAG.packet]) };
		}
	}

	/** Mostly one that may send. */
	#sender(family: 4 | 6): Buffer {
		const member = this.#world.members.find((one) => isMapped(one) === (family === 4));
		return member === undefined || this.#dice.once(8) ? addressOf(this.#dice, family) : member;
	}

	#tunnel(to: Buffer, now: number): void {
		const dice = this.#dice;
		const draft = this.#draft;
		const family = isMapped(to) ? 4 : 6;
		const header = this.#header(now);
		const length = headerLength(header.flags);
		const fields = {
			source: this.#sender(family),
			destination: to,
			protocol: 17,
			tos: dice.once(4) ? dice.below(256) : 0,
			options: dice.once(20) ? 8 : 0,
		};
		draft.ip(family, fields, () => {
			draft.udp(dice.below(65_536), this.#world.tunnelPort, 0, 0);
			const geneve = draft.at;
			draft.u8(1 + length / 4);
			draft.u8(0x40);
			draft.u16(0);
			draft.u32(0);
			draft.u16(0xff17);
			draft.u8(0x81);
			draft.u8(length / 4);
			const at = draft.at;
			draft.at += length;
			const flow: Flow = this.#packets.write();
			const inner = at + length;
			draft.set16(geneve + 2, ETHERTYPE[(draft.bytes[inner] as number) >> 4 === 4 ? 4 : 6]);
			draft.set16(geneve - 4, draft.at - geneve + 8);
			const key = this.#world.keys.find(({ id }) => id === header.keyId)?.secret ?? Buffer.alloc(16);
			draft.bytes.set(encodeHeader(signHeader(header, flow, key)), at);
			if (dice.once(6)) this.#damageTunnel(geneve, at, inner);
		});
	}

	#damageTunnel(geneve: number, header: number, inner: number): void {
		const dice = this.#dice;
		const draft = this.#draft;
		const flip = (at: number) => {
			draft.bytes[at] = (draft.bytes[at] as number) ^ (1 << dice.below(8));
		};
		switch (dice.weighed(TUNNEL_DAMAGE)) {
			case "bit":
				flip(dice.between(header, inner - 1));
				break;
			case "version":
				flip(header);
				break;
			case "geneve":
				flip(geneve + dice.below(2));
				break;
			case "option":
				flip(geneve + dice.between(8, 10));
				break;
			case "length":
				flip(dice.one([geneve, geneve + 11]));
				break;
			case "ethertype":
				draft.set16(geneve + 2, dice.one([0x0800, 0x86dd, 0x6558]));
				break;
			case "cut":
				draft.at = dice.between(inner, draft.at);
				break;
			case "short":
				draft.at = dice.between(geneve, inner);
				break;
		}
	}

	/** Of any frame. Often the IP header's checksum is right again afterwards, so that the damage is met further inside. */
	#damage(start: number, ip: number): void {
		const dice = this.#dice;
		const draft = this.#draft;
		switch (dice.weighed({ flips: 6, set: 3, lengths: 3, cut: 2 })) {
			case "flips":
				for (let i = dice.between(1, 4); i > 0; i--) {
					const at = start + dice.below(Math.min(draft.at - start, 120));
					draft.bytes[at] = (draft.bytes[at] as number) ^ (1 << dice.below(8));
				}
				break;
			case "set":
				draft.bytes[start + dice.below(Math.min(draft.at - start, 80))] = dice.one([0, 1, 255, dice.below(256)]);
				break;
			case "lengths": {
				const at = (draft.bytes[ip] as number) >> 4 === 4 ? ip + 2 : ip + 4;
				draft.set16(at, dice.once(4) ? dice.below(65_536) : Math.max(0, draft.get16(at) + dice.between(-20, 20)));
				break;
			}
			case "cut":
				draft.at = start + dice.between(SHORTEST, Math.min(draft.at - start + SHORTEST, 300));
				return;
		}
		if (dice.once(2) && (draft.bytes[ip] as number) >> 4 === 4) draft.mend(ip);
	}
}
