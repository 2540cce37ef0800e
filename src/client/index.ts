// index.ts - what programs that import "shunt/client" may use: sockets, agents, and the machine beneath them.

export * from "./connection.js";
export * from "./datagram.js";
export { Dialer } from "./dialer.js";
export * from "./endpoint.js";
export * from "./http.js";
export * from "./kept.js";
export * from "./machine.js";
export * from "./memory.js";
export type { RedirectionOptions } from "./options.js";
