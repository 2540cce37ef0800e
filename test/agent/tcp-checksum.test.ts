// tcp-checksum.test.ts - the checksum of a SYN that the stack had left to the link is completed before the SYN is sent
// again.

import { expect, test } from "vitest";
import { withTcpChecksum } from "../../src/agent/tcp-checksum.js";

/** 198.51.100.10.56878 > 10.77.13.2.80, with the options that Linux sends. */
const SYN = Buffer.from(
	"02000000000202000000000108004500003cf91d400040060000c633640a0a4d0d02" +
		"de2e005092ff1fbc00000000a002faf000000000020405b40402080a66f29ba8000000000103030a",
	"hex",
);

test("R26: the checksum over pseudo-header and segment is right, whatever the field held, and nothing else changes", () => {
	for (const before of [0, 0x1234, 0xffff]) {
		const frame = Buffer.from(SYN);
		frame.writeUInt16BE(before, 14 + 20 + 16);
		const after = withTcpChecksum(frame) as Buffer;
		const segment = after.subarray(34);
		const words = Buffer.concat([after.subarray(26, 34), Buffer.from([0, 6, 0, segment.length]), segment]);
		let total = 0;
		for (let i = 0; i < words.length; i += 2) total += words.readUInt16BE(i);
		while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
		expect(total).toBe(0xffff);
		after.writeUInt16BE(before, 14 + 20 + 16);
		expect(after.equals(frame)).toBe(true);
	}
});

test("a frame that is not TCP over IP is refused", () => {
	expect(withTcpChecksum(Buffer.alloc(20))).toBeUndefined();
	expect(withTcpChecksum(Buffer.alloc(60))).toBeUndefined();
	const udp = Buffer.from(SYN);
	udp[23] = 17;
	expect(withTcpChecksum(udp)).toBeUndefined();
});
