// The door of this room.

export * from "./maglev.js";
export * from "./table-set.js";
