// The door of this room.

export * from "./model.js";
export { plot } from "./plot.js";
export type { Life } from "./random.js";
export { simulate } from "./run.js";
