// tag-flow.ts - the flow that the tag of a tunnelled header covers (docs/protocol.md, section 3).

import { mapped } from "./address.js";
import type { Flow } from "./header.js";
import type { IpPacket } from "./packet.js";

/** The flow of the packet inside the tunnel. A fragment has zero ports. An ICMP error has the flow of the packet that
 * it quotes, with source and destination exchanged, so that it reads client to service; a quoted first fragment keeps
 * its ports, because the error itself is complete. */
export function tagFlow(ip: IpPacket, raw: Uint8Array, isQuote = false): Flow | undefined {
	const size = ip.version === 4 ? 4 : 16;
	const at = ip.version === 4 ? 12 : 8;
	if (raw.length < at + 2 * size) return undefined;
	const source = widen(raw.subarray(at, at + size));
	const destination = widen(raw.subarray(at + size, at + 2 * size));
	if (ip.icmp?.quoted !== undefined) {
		const flow = tagFlow(ip.icmp.quoted, raw.subarray(ip.headerLength + 8), true);
		if (flow === undefined) return undefined;
		return {
			...flow,
			source: flow.destination,
			destination: flow.source,
			sourcePort: flow.destinationPort,
			destinationPort: flow.sourcePort,
		};
	}
	const ports = ip.fragment === undefined || isQuote ? (ip.udp ?? ip.tcp) : { sourcePort: 0, destinationPort: 0 };
	if (ports === undefined) return undefined;
	const { sourcePort, destinationPort } = ports;
	return { family: ip.version, source, destination, sourcePort, destinationPort, protocol: ip.protocol };
}

function widen(address: Uint8Array): Uint8Array {
	return address.length === 4 ? mapped(address) : address.slice();
}
