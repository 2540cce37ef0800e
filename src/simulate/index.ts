// index.ts - what other rooms may import from simulate/.

export * from "./model.js";
export { plot } from "./plot.js";
export type { Life } from "./random.js";
export { simulate } from "./run.js";
