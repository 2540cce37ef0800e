// dice.ts - chance that can be thrown again: a small generator of numbers, by seed.
//
// Owns: the numbers (Doty-Humphrey's sfc32, which passes PractRand and needs no 64 bits).
// Must never: ask the machine for chance, or the time.

export class Dice {
	#a: number;
	#b: number;
	#c = 0x9e3779b9;
	#count = 1;

	constructor(seed: number) {
		this.#a = seed | 0;
		this.#b = (seed / 0x1_0000_0000) | 0;
		for (let i = 0; i < 16; i++) this.word();
	}

	/** 32 bits. */
	word(): number {
		const sum = (this.#a + this.#b + this.#count++) | 0;
		this.#a = this.#b ^ (this.#b >>> 9);
		this.#b = (this.#c + (this.#c << 3)) | 0;
		this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
		return sum >>> 0;
	}

	/** 0 .. n - 1. */
	below(n: number): number {
		return Math.floor((this.word() / 0x1_0000_0000) * n);
	}

	/** from .. to. */
	between(from: number, to: number): number {
		return from + this.below(to - from + 1);
	}

	/** True once in n. */
	once(n: number): boolean {
		return this.below(n) === 0;
	}

	one<T>(list: readonly T[]): T {
		return list[this.below(list.length)] as T;
	}

	/** One of the names, each as often as its weight says. */
	weighed<Name extends string>(weights: Record<Name, number>): Name {
		let total = 0;
		for (const name in weights) total += weights[name];
		let at = this.below(total);
		for (const name in weights) {
			at -= weights[name];
			if (at < 0) return name;
		}
		throw new Error("nothing to choose from");
	}

	bytes(n: number): Buffer {
		const out = Buffer.alloc(n);
		for (let i = 0; i < n; i++) out[i] = this.word();
		return out;
	}

	word64(): bigint {
		return (BigInt(this.word()) << 32n) | BigInt(this.word());
	}
}
