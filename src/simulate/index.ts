// index.ts - what other rooms may import from simulate/.

export * from "./model.js";
export { type Failures, type Flap, type Moment, type Outage, outagesOf } from "./outages.js";
export { plot } from "./plot.js";
export type { Life } from "./random.js";
export { simulate } from "./run.js";
