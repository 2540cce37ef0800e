// datagram-arguments.ts - the overloads of dgram's send(): which argument is which.
//
// Owns: the meaning of positions. Must never: refuse an argument: Node does, when the datagram is sent.

export type Message = string | NodeJS.ArrayBufferView | readonly (string | NodeJS.ArrayBufferView)[];
export type SendCallback = (error: Error | null, bytes: number) => void;

/** The arguments of send(), by position. */
export type SendArguments = [
	message: Message,
	offset?: unknown,
	length?: unknown,
	port?: unknown,
	address?: unknown,
	callback?: unknown,
];

export interface Datagram {
	readonly message: Message;
	/** undefined: the whole message. */
	readonly offset: number | undefined;
	readonly length: number | undefined;
	readonly callback: SendCallback | undefined;
}

/** Of an unconnected socket. */
export interface AddressedDatagram extends Datagram {
	readonly port: number;
	/** Absent: this host. */
	readonly host: string | undefined;
}

/** Of an unconnected socket; undefined if Node refuses an argument. */
export function addressedDatagram(given: SendArguments): AddressedDatagram | undefined {
	const [message, offset, length, port, address, callback] = given;
	// (message, offset, length, port, …), or (message, port, …).
	const sliced = Boolean(address) || (Boolean(port) && typeof port !== "function");
	const number = portOf(sliced ? port : offset);
	const host = sliced ? address : length;
	const last = typeof host === "function" ? host : sliced ? callback : port;
	const named = host != null && typeof host !== "function";
	if (number === undefined || !isMessage(message) || (named && typeof host !== "string")) return undefined;
	return {
		message,
		offset: sliced ? (offset as number) >>> 0 : undefined,
		length: sliced ? (length as number) >>> 0 : undefined,
		callback: typeof last === "function" ? (last as SendCallback) : undefined,
		port: number,
		host: named ? (host as string) : undefined,
	};
}

/** Of a connected socket; undefined if it has a destination, which Node refuses. */
export function connectedDatagram(given: SendArguments): Datagram | undefined {
	const [message, offset, length, port, address] = given;
	const sliced = typeof length === "number";
	const destination = sliced && typeof port === "function" ? undefined : port;
	if (destination || address) return undefined;
	const last = sliced ? port : offset;
	return {
		message,
		offset: sliced ? (offset as number) >>> 0 : undefined,
		length: sliced ? length >>> 0 : undefined,
		callback: typeof last === "function" ? (last as SendCallback) : undefined,
	};
}

/** A port as Node accepts it for a destination, as a number. */
export function portOf(value: unknown): number | undefined {
	if (typeof value !== "number" && (typeof value !== "string" || value.trim() === "")) return undefined;
	const port = Number(value);
	return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

export function isMessage(value: unknown): value is Message {
	return isPart(value) || (Array.isArray(value) && value.every(isPart));
}

function isPart(value: unknown): boolean {
	return typeof value === "string" || ArrayBuffer.isView(value);
}

/** The bytes of the message; not a copy, if it is one buffer. */
export function joinMessage(message: Message, offset?: number, length?: number): Buffer {
	const bytes = Array.isArray(message)
		? Buffer.concat(message.map(bytesOf))
		: bytesOf(message as string | NodeJS.ArrayBufferView);
	return offset === undefined || length === undefined ? bytes : bytes.subarray(offset, offset + length);
}

function bytesOf(one: string | NodeJS.ArrayBufferView): Buffer {
	return typeof one === "string" ? Buffer.from(one) : Buffer.from(one.buffer, one.byteOffset, one.byteLength);
}
