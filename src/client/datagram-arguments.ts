// datagram-arguments.ts - the arguments of dgram's send(), in all its overloads.

import { codedError } from "./coded-error.js";

export type Message = string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[];
export type SendCallback = (error: Error | null, bytes: number) => void;

export interface SendArguments {
	readonly bytes: Buffer;
	readonly callback: SendCallback | undefined;
	/** Absent on a connected socket. */
	readonly port: number;
	readonly address: string | undefined;
}

/** `rest`: what follows the message. Throws Node's own errors. */
export function parseSendArguments(message: Message, rest: unknown[], connected: boolean): SendArguments {
	const callback = typeof rest.at(-1) === "function" ? (rest.pop() as SendCallback) : undefined;
	while (rest.length > 0 && rest.at(-1) === undefined) rest.pop();
	// (offset, length), and then the destination, which is not allowed on a connected socket.
	const numbers = typeof rest[0] === "number" && typeof rest[1] === "number";
	const sliced = connected
		? rest.length === 2 && numbers
		: (numbers && rest.length >= 4) || (rest.length === 3 && typeof rest[2] === "number");
	const [offset, length] = sliced ? (rest.splice(0, 2) as [number, number]) : [];
	if (connected && rest.length > 0) throw codedError("ERR_SOCKET_DGRAM_IS_CONNECTED", "Already connected");
	const bytes = joinMessage(message, offset, length);
	if (connected) return { bytes, callback, port: 0, address: undefined };
	const [given, address] = rest as [number | string, string | undefined];
	const port = typeof given === "string" && given.trim() !== "" ? Number(given) : (given as number);
	if (!Number.isInteger(port) || port <= 0 || port > 65_535)
		throw codedError("ERR_SOCKET_BAD_PORT", `Port should be > 0 and < 65536. Received ${String(port)}.`, RangeError);
	return { bytes, callback, port, address };
}

function joinMessage(message: Message, offset?: number, length?: number): Buffer {
	const bytes = Array.isArray(message)
		? Buffer.concat(message.map(bytesOf))
		: bytesOf(message as string | NodeJS.ArrayBufferView);
	if (offset === undefined || length === undefined) return bytes;
	if (offset > bytes.length || offset + length > bytes.length)
		throw codedError("ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds", RangeError);
	return bytes.subarray(offset, offset + length);
}

function bytesOf(one: string | NodeJS.ArrayBufferView): Buffer {
	if (typeof one === "string") return Buffer.from(one);
	if (!ArrayBuffer.isView(one))
		throw codedError(
			"ERR_INVALID_ARG_TYPE",
			'The "buffer" argument must be a string, Buffer, TypedArray or DataView',
			TypeError,
		);
	return Buffer.from(one.buffer, one.byteOffset, one.byteLength);
}
