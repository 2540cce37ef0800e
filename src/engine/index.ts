// index.ts - what the rest of the house may use of this room.

export { type Reason, reasonName, reasons, type Verdict } from "./addon.js";
export * from "./host.js";
export * from "./kernel-dump.js";
export * from "./native.js";
export * from "./statistics.js";
