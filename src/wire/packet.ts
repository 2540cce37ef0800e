// packet.ts - the shape of a decoded frame: what frame.ts returns, and what describe.ts and the CLI print.

import type { GeneveReason } from "./carrier/geneve.js";
import type { HeaderResult } from "./header.js";

export interface Frame {
	readonly length: number;
	readonly ethernet?: { readonly source: string; readonly destination: string; readonly type: number };
	readonly vlans?: readonly number[];
	readonly ip?: IpPacket;
	readonly problem?: string;
}

export interface IpPacket {
	readonly version: 4 | 6;
	readonly source: string;
	readonly destination: string;
	readonly ttl: number;
	readonly tos: number;
	/** Of header and payload, from the header. */
	readonly length: number;
	readonly headerLength: number;
	/** Of the payload behind the IP header and, in IPv6, its extension headers. */
	readonly protocol: number;
	readonly fragment?: { readonly id: number; readonly offset: number; readonly more: boolean };
	readonly dontFragment?: boolean;
	readonly udp?: UdpDatagram;
	readonly tcp?: TcpSegment;
	readonly icmp?: IcmpMessage;
	readonly problem?: string;
}

export interface UdpDatagram {
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly checksum: number;
	/** Of the payload. */
	readonly length: number;
	readonly geneve?: GeneveFrame;
	readonly control?: ControlFrame;
	/** In the surplus area. */
	readonly option?: HeaderResult;
}

export interface GeneveFrame {
	readonly protocol: number;
	readonly vni: number;
	readonly critical: boolean;
	readonly options: readonly { readonly class: number; readonly type: number; readonly length: number }[];
	readonly header?: HeaderResult;
	/** The reason for which a backend would refuse it before it checks key, tag and age. */
	readonly refusal?: GeneveReason;
	/** Whether the tag is right; absent if the key is not known. */
	readonly tagRight?: boolean;
	readonly inner?: IpPacket;
}

export interface ControlFrame {
	readonly header: HeaderResult;
	/** The service that it is about; absent in a RST, which is about its own flow. */
	readonly about?: { readonly protocol: number; readonly port: number; readonly address: string };
	readonly packet?: IpPacket;
}

export interface TcpSegment {
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly sequence: number;
	readonly acknowledgment: number;
	readonly window: number;
	/** As tcpdump writes them: S, F, R, P, U, E, W and a dot for ACK. */
	readonly flags: string;
	/** Of the data. */
	readonly length: number;
	readonly option?: HeaderResult;
	readonly control?: ControlFrame;
}

export interface IcmpMessage {
	readonly type: number;
	readonly code: number;
	/** The packet that an ICMP error quotes. */
	readonly quoted?: IpPacket;
}
