// random.ts - pseudorandom numbers, the same for the same seed on every machine.
//
// Owns: the generator (xoshiro128**, Blackman and Vigna, 2018), and the distributions that a run draws from.
// Must never: use a source of entropy.

export type Life = "exponential" | "heavy";

/** Shape of the Pareto distribution: its mean is finite, its variance is not. */
const TAIL = 1.5;

export class Random {
	readonly #state = new Uint32Array(4);

	constructor(seed: number) {
		// splitmix32: seeds that differ in one bit give states that differ in many.
		let x = seed >>> 0;
		for (let i = 0; i < 4; i++) {
			x = (x + 0x9e3779b9) >>> 0;
			let z = x;
			z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
			z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
			this.#state[i] = z ^ (z >>> 16);
		}
	}

	/** 32 random bits. */
	bits(): number {
		const s = this.#state;
		const s1 = s[1]!;
		const five = Math.imul(s1, 5);
		const result = Math.imul((five << 7) | (five >>> 25), 9) >>> 0;
		const s2 = s[2]! ^ s[0]!;
		const s3 = s[3]! ^ s1;
		s[1] = s1 ^ s2;
		s[0] = s[0]! ^ s3;
		s[2] = s2 ^ (s1 << 9);
		s[3] = (s3 << 11) | (s3 >>> 21);
		return result;
	}

	/** In [0, 1). */
	part(): number {
		return this.bits() / 4_294_967_296;
	}

	below(limit: number): number {
		return Math.floor(this.part() * limit);
	}

	exponential(mean: number): number {
		return -Math.log(1 - this.part()) * mean;
	}

	/** Pareto's distribution with this mean. */
	heavy(mean: number): number {
		return ((TAIL - 1) / TAIL) * mean * (1 - this.part()) ** (-1 / TAIL);
	}

	/** The number of events of a Poisson process with this mean. */
	poisson(mean: number): number {
		if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.#normal()));
		const limit = Math.exp(-mean);
		let count = 0;
		for (let product = this.part(); product > limit; product *= this.part()) count++;
		return count;
	}

	/** Standard normal, by Box and Muller. */
	#normal(): number {
		return Math.sqrt(-2 * Math.log(1 - this.part())) * Math.cos(2 * Math.PI * this.part());
	}
}
