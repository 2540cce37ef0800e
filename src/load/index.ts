// The door of this room.

export * from "./datagram.js";
export * from "./report.js";
