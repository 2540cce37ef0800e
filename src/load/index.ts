// The door of this room.

export * from "./cpu.js";
export * from "./datagram.js";
export * from "./link-rates.js";
export * from "./report.js";
