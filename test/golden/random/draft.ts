// draft.ts - frames written in place, one layer behind the other, for tests that need a million of them.
//
// Owns: a piece of memory and a cursor. A layer's lengths and checksum are set when what stands behind it is there.
// Must never: owe anything to the code under test.

import type { Dice } from "./dice.js";

export interface IpFields {
	source: Buffer;
	destination: Buffer;
	protocol: number;
	tos?: number;
	/** IPv4: options, a multiple of 4 bytes. */
	options?: number;
	/** IPv4: flags and offset. */
	fragment?: number;
	id?: number;
}

export class Draft {
	readonly bytes: Buffer;
	at = 0;

	constructor(room: number) {
		this.bytes = Buffer.alloc(room);
	}

	u8(value: number): void {
		this.bytes[this.at++] = value;
	}

	u16(value: number): void {
		this.bytes[this.at] = value >>> 8;
		this.bytes[this.at + 1] = value;
		this.at += 2;
	}

	u32(value: number): void {
		this.u16(value >>> 16);
		this.u16(value & 0xffff);
	}

	set16(at: number, value: number): void {
		this.bytes[at] = value >>> 8;
		this.bytes[at + 1] = value;
	}

	get16(at: number): number {
		return ((this.bytes[at] as number) << 8) | (this.bytes[at + 1] as number);
	}

	put(bytes: Uint8Array, from = 0): void {
		this.bytes.set(from ? bytes.subarray(from) : bytes, this.at);
		this.at += bytes.length - from;
	}

	/** n bytes of any kind. */
	noise(dice: Dice, n: number): void {
		if (n <= 0) return;
		if (n <= 64) {
			for (let i = 0; i < n; i++) this.bytes[this.at + i] = (i & 3) === 0 ? dice.word() : i;
		} else {
			this.bytes.fill(dice.below(256), this.at, this.at + n);
			this.bytes[this.at + dice.below(n)] = dice.below(256);
		}
		this.at += n;
	}

	ethernet(type: number, vlans: readonly number[]): void {
		this.u32(0x02000000);
		this.u32(0x00020200);
		this.u32(0x00000001);
		for (const [i, id] of vlans.entries()) {
			this.u16(i === 0 && vlans.length > 1 ? 0x88a8 : 0x8100);
			this.u16(id);
		}
		this.u16(type);
	}

	/** Writes an IP header, what `then` writes behind it, and then its length and checksum. Returns where it begins. */
	ip(family: 4 | 6, fields: IpFields, then: () => void): number {
		return family === 4 ? this.#ipv4(fields, then) : this.#ipv6(fields, then);
	}

	#ipv4(
		{ source, destination, protocol, tos = 0, options = 0, fragment = 0, id = 0 }: IpFields,
		then: () => void,
	): number {
		const start = this.at;
		this.u8(0x45 + options / 4);
		this.u8(tos);
		this.u16(0);
		this.u16(id);
		this.u16(fragment);
		this.u8(64);
		this.u8(protocol);
		this.u16(0);
		this.put(source, 12);
		this.put(destination, 12);
		for (let i = 0; i < options; i++) this.u8(1); // no operation
		then();
		this.set16(start + 2, this.at - start);
		this.mend(start);
		return start;
	}

	#ipv6({ source, destination, protocol, tos = 0 }: IpFields, then: () => void): number {
		const start = this.at;
		this.u32(((6 << 28) | (tos << 20)) >>> 0);
		this.u16(0);
		this.u8(protocol);
		this.u8(64);
		this.put(source);
		this.put(destination);
		then();
		this.set16(start + 4, this.at - start - 40);
		return start;
	}

	/** A right IPv4 header checksum, whatever the header says. */
	mend(start: number): void {
		let sum = 0;
		const words = ((this.bytes[start] as number) & 15) * 2;
		this.set16(start + 10, 0);
		for (let i = 0; i < words; i++) sum += this.get16(start + 2 * i);
		sum = (sum & 0xffff) + (sum >>> 16);
		sum = (sum & 0xffff) + (sum >>> 16);
		this.set16(start + 10, ~sum & 0xffff);
	}

	/** The UDP length counts `payload`; what stands behind is the surplus area. */
	udp(sourcePort: number, destinationPort: number, payload: number, checksum: number): void {
		this.u16(sourcePort);
		this.u16(destinationPort);
		this.u16(8 + payload);
		this.u16(checksum);
	}

	tcp(sourcePort: number, destinationPort: number, flags: number, options: number, checksum: number): void {
		this.u16(sourcePort);
		this.u16(destinationPort);
		this.u32(1000);
		this.u32(0);
		this.u8((20 + options) << 2);
		this.u8(flags);
		this.u16(64_240);
		this.u16(checksum);
		this.u16(0);
		for (let i = 0; i < options; i++) this.u8(1);
	}
}
