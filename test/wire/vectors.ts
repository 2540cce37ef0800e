// The shared vectors, for the tests of src/wire.

import { readFileSync } from "node:fs";
import { FLAG, type Flow, type Header, parseAddress } from "../../src/wire/index.js";

export interface Vector {
	name: string;
	hex: string;
	reason?: string;
	fields?: {
		type: Header["type"];
		flags: number;
		port: number;
		lease: number;
		hops: number;
		keyId: number;
		issued: number;
		nonce: string;
		address: string;
		alternative?: { address: string; port: number };
		tag: string;
	};
	flow?: { source: string; destination: string; sourcePort: number; destinationPort: number; protocol: number };
	key?: string;
	message?: string;
}

export const vectors: Vector[] = JSON.parse(
	readFileSync(new URL("../vectors/redirection-header.json", import.meta.url), "utf8"),
).vectors;

export const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));

export function address(text: string): Uint8Array {
	const bytes = parseAddress(text);
	if (bytes === undefined) throw new Error(`${text} is no address`);
	return bytes;
}

export function headerOf(fields: NonNullable<Vector["fields"]>): Header {
	return {
		type: fields.type,
		flags: fields.flags,
		port: fields.port,
		lease: fields.lease,
		hops: fields.hops,
		keyId: fields.keyId,
		issued: fields.issued,
		nonce: BigInt(`0x${fields.nonce}`),
		address: address(fields.address),
		...(fields.flags & FLAG.alternative && fields.alternative
			? { alternative: { address: address(fields.alternative.address), port: fields.alternative.port } }
			: {}),
		tag: Buffer.from(fields.tag, "hex").readBigUInt64LE(),
	};
}

export function flowOf(flow: NonNullable<Vector["flow"]>): Flow {
	return {
		family: flow.source.includes(":") ? 6 : 4,
		source: address(flow.source),
		destination: address(flow.destination),
		sourcePort: flow.sourcePort,
		destinationPort: flow.destinationPort,
		protocol: flow.protocol,
	};
}
