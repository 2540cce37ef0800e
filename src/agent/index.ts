// index.ts - the interface of this room.

export * from "./agent.js";
export type { ServiceName } from "./agent-service.js";
