// index.ts - what other rooms may use of this one.

export * from "./client-reports.js";
export * from "./health.js";
export * from "./listening.js";
export * from "./machine.js";
export * from "./probe.js";
export * from "./query-times.js";
export * from "./slow-start.js";
