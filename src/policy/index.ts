// index.ts - what other rooms import from this one.

export * from "./balance.js";
export * from "./freshness.js";
export * from "./loads.js";
export * from "./maglev.js";
export * from "./strategy/index.js";
export * from "./table-set.js";
export * from "./total-load.js";
