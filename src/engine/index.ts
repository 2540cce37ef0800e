// index.ts - what the rest of the house may use of this room.

export * from "./host.js";
export * from "./native.js";
