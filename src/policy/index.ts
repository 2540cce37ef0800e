// The door of this room.

export * from "./balance.js";
export * from "./freshness.js";
export * from "./loads.js";
export * from "./maglev.js";
export * from "./table-set.js";
export * from "./total-load.js";
