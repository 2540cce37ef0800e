// index.ts - what other rooms may use of this one.

export { answersOf } from "./answers.js";
export { ApiClient, SOCKET_FOLDER } from "./client.js";
export { type Answers, type FlowQuery, type SessionQuery, serve } from "./server.js";
export * from "./types.js";
