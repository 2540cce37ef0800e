// links.ts - two veth pairs without addresses, and UDP frames, for tests of the engine over real interfaces.
//
// Owns: making and removing the pairs. Checksum offload is off, so that frames are as on a wire.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export const isRoot = process.getuid?.() === 0;

export interface Pair {
	readonly near: string;
	readonly far: string;
}

export function makePair(near: string, far: string): Pair {
	removePair({ near, far });
	ip("link", "add", near, "type", "veth", "peer", "name", far);
	for (const name of [near, far]) {
		execFileSync("sysctl", ["-qw", `net.ipv6.conf.${name}.disable_ipv6=1`]);
		execFileSync("ethtool", ["-K", name, "tx", "off", "gro", "off", "gso", "off", "tso", "off"], { stdio: "ignore" });
		ip("link", "set", name, "up");
	}
	return { near, far };
}

export function removePair(pair: Pair): void {
	try {
		ip("link", "del", pair.near);
	} catch {
		// It was not there.
	}
}

function ip(...args: string[]): void {
	execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

export function macOf(name: string): Buffer {
	return Buffer.from(readFileSync(`/sys/class/net/${name}/address`, "utf8").trim().replaceAll(":", ""), "hex");
}

export function ifindexOf(name: string): number {
	return Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));
}

/** An IPv4 address in mapped form. */
export function v4(text: string): Buffer {
	return Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...text.split(".").map(Number)]);
}

export interface UdpFrame {
	readonly to: Buffer;
	readonly from: Buffer;
	readonly source: string;
	readonly sourcePort: number;
	readonly destination: string;
	readonly destinationPort: number;
	readonly payload: Buffer;
}

/** Ethernet, IPv4 and UDP with right checksums. */
export function udpFrame(f: UdpFrame): Buffer {
	const udp = Buffer.alloc(8);
	udp.writeUInt16BE(f.sourcePort, 0);
	udp.writeUInt16BE(f.destinationPort, 2);
	udp.writeUInt16BE(8 + f.payload.length, 4);
	const header = Buffer.alloc(20);
	header[0] = 0x45;
	header.writeUInt16BE(28 + f.payload.length, 2);
	header[8] = 64;
	header[9] = 17;
	v4(f.source).copy(header, 12, 12);
	v4(f.destination).copy(header, 16, 12);
	header.writeUInt16BE(checksum(header), 10);
	const pseudo = Buffer.from([0, 17, 0, 0]);
	pseudo.writeUInt16BE(udp.length + f.payload.length, 2);
	udp.writeUInt16BE(checksum(Buffer.concat([header.subarray(12), pseudo, udp, f.payload])) || 0xffff, 6);
	return Buffer.concat([f.to, f.from, Buffer.from([8, 0]), header, udp, f.payload]);
}

/** RFC 1071; 0 over data that holds its right checksum. */
export function checksum(data: Buffer): number {
	let sum = 0;
	for (let i = 0; i < data.length; i += 2) sum += ((data[i] ?? 0) << 8) | (data[i + 1] ?? 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	return ~sum & 0xffff;
}

/** Polls until the condition holds; fails the test by throwing after `ms`. */
export async function until(what: string, condition: () => boolean, ms = 5000): Promise<void> {
	const end = Date.now() + ms;
	while (!condition()) {
		if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}
