// index.ts - what other rooms, and programs that import "shunt/wire", may use of this one.

export * from "./address.js";
export * from "./carriers.js";
export * from "./describe.js";
export * from "./frame.js";
export * from "./geneve.js";
export * from "./header.js";
export * from "./siphash.js";
