// index.ts - the interface of the state machine.

export * from "./events.js";
export { Machine } from "./machine.js";
export * from "./settings.js";
export type { StateName } from "./state.js";
