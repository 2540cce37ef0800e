// index.ts - the interface of this room, and of the export shunt-client/wire (packages/client).

export * from "./address.js";
export * from "./carrier/control.js";
export * from "./carrier/experiment.js";
export * from "./carrier/geneve.js";
export * from "./carrier/tcp-option.js";
export { decodeReset, encodeReset } from "./carrier/tcp-reset.js";
export * from "./carrier/udp-option.js";
export * from "./describe.js";
export * from "./endpoint.js";
export * from "./frame.js";
export * from "./header.js";
export * from "./packet.js";
export * from "./prefix.js";
export * from "./range.js";
export * from "./siphash.js";
export * from "./tag-flow.js";
