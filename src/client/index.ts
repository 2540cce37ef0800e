// index.ts - the interface of this room, and of the package shunt-client (packages/client): sockets, agents, and the
// machine beneath them.

export type { Endpoint, Prefix } from "../wire/index.js";
export * from "./cache.js";
export * from "./cache-file.js";
export { Connection, type ConnectionOptions, connect, createConnection } from "./connection.js";
export * from "./connector.js";
export * from "./datagram.js";
export { Dialer } from "./dialer.js";
export type { DatagramEvents, ServiceEvents } from "./emitter.js";
export * from "./http.js";
export * from "./machine/index.js";
export type { RedirectionOptions } from "./options.js";
export { isPermittedTarget } from "./targets.js";
