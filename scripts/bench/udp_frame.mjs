// udp_frame.mjs - one UDP frame over IPv4 with right checksums, for the generators.

/** `size` is that of the Ethernet frame without its checksum; MAC addresses as text, addresses in dotted form. */
export function udpFrame({ size, sourceMac, destinationMac, source, destination, sourcePort, destinationPort }) {
	const frame = Buffer.alloc(Math.max(size, 42));
	Buffer.from((destinationMac + sourceMac).replaceAll(":", ""), "hex").copy(frame);
	frame.writeUInt16BE(0x0800, 12);
	const ip = frame.subarray(14);
	ip[0] = 0x45;
	ip.writeUInt16BE(ip.length, 2);
	ip[8] = 64;
	ip[9] = 17;
	ip.set(source.split(".").map(Number), 12);
	ip.set(destination.split(".").map(Number), 16);
	ip.writeUInt16BE(~sum(ip.subarray(0, 20)) & 0xffff, 10);
	ip.writeUInt16BE(sourcePort, 20);
	ip.writeUInt16BE(destinationPort, 22);
	ip.writeUInt16BE(ip.length - 20, 24);
	return frame;
}

function sum(bytes) {
	let total = 0;
	for (let i = 0; i < bytes.length; i += 2) total += bytes.readUInt16BE(i);
	while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
	return total;
}
