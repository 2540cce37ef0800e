// The door of this room.

export * from "./epochs.js";
export * from "./ids.js";
export * from "./loads.js";
export * from "./lookup.js";
export { MemoryStore } from "./memory.js";
export * from "./places.js";
export * from "./pools.js";
export * from "./records.js";
export { StaticStore } from "./static.js";
export * from "./store.js";
export * from "./tables.js";
