// siphash.ts - SipHash-2-4 (Aumasson and Bernstein, 2012) in 32-bit halves, which JavaScript computes fast.
//
// Must never: import anything. The client library must run on any JavaScript engine.

/** SipHash-2-4 of `length` bytes of `data` under a 16-byte key, as the number that the paper prints. */
export function siphash(key: Uint8Array, data: Uint8Array, length = data.length): bigint {
	const k0l = word(key, 0);
	const k0h = word(key, 4);
	const k1l = word(key, 8);
	const k1h = word(key, 12);
	let v0l = k0l ^ 0x70736575;
	let v0h = k0h ^ 0x736f6d65;
	let v1l = k1l ^ 0x6e646f6d;
	let v1h = k1h ^ 0x646f7261;
	let v2l = k0l ^ 0x6e657261;
	let v2h = k0h ^ 0x6c796765;
	let v3l = k1l ^ 0x79746573;
	let v3h = k1h ^ 0x74656462;

	const whole = length - (length % 8);
	// Blocks 0, 8, .. whole bytes; then the tail with the length; then four final rounds without a word.
	for (let at = 0; at <= whole + 8; at += 8) {
		let ml = 0;
		let mh = 0;
		let rounds = 2;
		if (at < whole) {
			ml = word(data, at);
			mh = word(data, at + 4);
		} else if (at === whole) {
			for (let i = whole; i < length; i++) {
				if (i - whole < 4) ml |= (data[i] as number) << (8 * (i - whole));
				else mh |= (data[i] as number) << (8 * (i - whole - 4));
			}
			mh |= length << 24;
		} else {
			v2l ^= 0xff;
			rounds = 4;
		}
		v3l ^= ml;
		v3h ^= mh;
		for (let r = 0; r < rounds; r++) {
			let sum = (v0l >>> 0) + (v1l >>> 0);
			v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
			v0l = sum | 0;
			sum = (v2l >>> 0) + (v3l >>> 0);
			v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
			v2l = sum | 0;
			let t = (v1l << 13) | (v1h >>> 19);
			v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
			v1l = t ^ v0l;
			t = (v3l << 16) | (v3h >>> 16);
			v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
			v3l = t ^ v2l;
			t = v0l;
			v0l = v0h;
			v0h = t;
			sum = (v2l >>> 0) + (v1l >>> 0);
			v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
			v2l = sum | 0;
			sum = (v0l >>> 0) + (v3l >>> 0);
			v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
			v0l = sum | 0;
			t = (v1l << 17) | (v1h >>> 15);
			v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
			v1l = t ^ v2l;
			t = (v3l << 21) | (v3h >>> 11);
			v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
			v3l = t ^ v0l;
			t = v2l;
			v2l = v2h;
			v2h = t;
		}
		v0l ^= ml;
		v0h ^= mh;
	}
	return (BigInt((v0h ^ v1h ^ v2h ^ v3h) >>> 0) << 32n) | BigInt((v0l ^ v1l ^ v2l ^ v3l) >>> 0);
}

function word(bytes: Uint8Array, at: number): number {
	return (
		(bytes[at] as number) |
		((bytes[at + 1] as number) << 8) |
		((bytes[at + 2] as number) << 16) |
		((bytes[at + 3] as number) << 24)
	);
}
