// index.ts - what programs that import "shunt/client" may use.

export * from "./endpoint.js";
export * from "./machine.js";
export * from "./memory.js";
