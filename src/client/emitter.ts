// emitter.ts - the types of the events that sockets and dialers emit.
//
// Owns: the payload of each event. Must never: emit one, or exist at run time.

import type { RemoteInfo } from "node:dgram";
import type { EventEmitter } from "node:events";
import type { Endpoint } from "../wire/index.js";
import type { Notification } from "./machine/index.js";

/** What happens to a service: by name, the arguments of the event's listeners. */
export type ServiceEvents = {
	[Name in Notification["name"]]: [event: Extract<Notification, { name: Name }> & { readonly service: Endpoint }];
};

/** The events of a RedirectedSocket: those of dgram.Socket, and those of its services. */
export type DatagramEvents = ServiceEvents & {
	close: [];
	connect: [];
	error: [error: Error];
	listening: [];
	message: [message: Buffer, rinfo: RemoteInfo];
};

// biome-ignore lint/suspicious/noExplicitAny: EventEmitter's own listener, for names that are not in the table.
type Listener = (...args: any[]) => void;

/** An EventEmitter whose listeners' arguments follow from the event's name. Other names are allowed, as in Node. */
export interface TypedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter {
	addListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	addListener(event: string | symbol, listener: Listener): this;
	on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	on(event: string | symbol, listener: Listener): this;
	once<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	once(event: string | symbol, listener: Listener): this;
	off<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	off(event: string | symbol, listener: Listener): this;
	removeListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	removeListener(event: string | symbol, listener: Listener): this;
	prependListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	prependListener(event: string | symbol, listener: Listener): this;
	prependOnceListener<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): this;
	prependOnceListener(event: string | symbol, listener: Listener): this;
	emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): boolean;
	emit(event: string | symbol, ...args: Parameters<Listener>): boolean;
}
