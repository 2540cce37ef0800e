// tcp-checksum.ts - completes the TCP checksum of a captured SYN, which the host's stack may have left to the link
// (offload).
//
// Must never: change anything else.

/** A copy of the frame with its TCP checksum; undefined if it is not TCP over IPv4, or over IPv6 without extension
 * headers. */
export function withTcpChecksum(frame: Uint8Array): Buffer | undefined {
	const out = Buffer.from(frame);
	if (out.length < 14 + 20) return undefined;
	const six = out.readUInt16BE(12) === 0x86dd;
	if (!six && out.readUInt16BE(12) !== 0x0800) return undefined;
	const ip = 14;
	const tcp = six ? ip + 40 : ip + ((out[ip] as number) & 15) * 4;
	const protocol = out[ip + (six ? 6 : 9)];
	if (protocol !== 6 || out.length < tcp + 20) return undefined;
	const addresses = six ? out.subarray(ip + 8, ip + 40) : out.subarray(ip + 12, ip + 20);
	out.writeUInt16BE(0, tcp + 16);
	const segment = out.subarray(tcp);
	out.writeUInt16BE(0xffff - folded(sum(addresses) + 6 + segment.length + sum(segment)), tcp + 16);
	return out;
}

function sum(bytes: Uint8Array): number {
	let total = 0;
	for (const [i, byte] of bytes.entries()) total += i & 1 ? byte : byte << 8;
	return total;
}

function folded(total: number): number {
	let rest = total;
	while (rest > 0xffff) rest = (rest & 0xffff) + (rest >>> 16);
	return rest;
}
