// The door of this room.

export { ApiClient, SOCKET_FOLDER } from "./client.js";
export { type DaemonEvent, type DaemonOptions, runBackend, runGateway } from "./daemon.js";
export { type Answers, type FlowQuery, type SessionQuery, serve } from "./server.js";
export * from "./types.js";
