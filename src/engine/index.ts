// index.ts - what the rest of the house may use of this room.
export * from "./native.js";
