// index.ts - what other rooms may use of this one.

export { type DaemonEvent, type DaemonOptions, runBackend, runGateway } from "./daemon.js";
