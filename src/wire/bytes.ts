// bytes.ts - big-endian integers out of bytes that may end too early.
//
// Must never: throw. A byte beyond the end reads as zero; callers check lengths where that matters.

export function u16(bytes: Uint8Array, at: number): number {
	return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function u32(bytes: Uint8Array, at: number): number {
	return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0;
}
