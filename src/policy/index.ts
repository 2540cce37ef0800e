// The door of this room.

export * from "./loads.js";
export * from "./maglev.js";
export * from "./table-set.js";
