// index.ts - what other rooms import from this one.

export { type Reason, reasonName, reasons, type Verdict } from "./addon.js";
export * from "./capture-stream.js";
export * from "./explain.js";
export * from "./host.js";
export * from "./inject.js";
export * from "./kernel-dump.js";
export * from "./kernel-features.js";
export * from "./native.js";
export * from "./options.js";
export * from "./run-file.js";
export * from "./sessions.js";
export * from "./statistics.js";
export * from "./table-packing.js";
