// index.ts - what other rooms may use of the host agent.

export * from "./agent.js";
export type { ServiceName } from "./service.js";
