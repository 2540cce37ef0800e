// udp-payload.ts - the payload of a UDP datagram inside an IP packet, as a gateway returns it (docs/protocol.md,
// section 6).
//
// Must never: throw on hostile bytes.

/** undefined if the packet is not one complete UDP datagram. */
export function udpPayload(packet: Uint8Array): Uint8Array | undefined {
	const version = (packet[0] ?? 0) >> 4;
	const at = version === 6 ? 40 : ((packet[0] ?? 0) & 15) * 4;
	const protocol = version === 6 ? packet[6] : packet[9];
	if ((version !== 4 && version !== 6) || at < 20 || protocol !== 17 || packet.length < at + 8) return undefined;
	const length = ((packet[at + 4] as number) << 8) | (packet[at + 5] as number);
	return length < 8 || at + length > packet.length ? undefined : packet.subarray(at + 8, at + length);
}
