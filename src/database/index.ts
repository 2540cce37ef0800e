// index.ts - what other rooms import from this one.

export { EmbeddedStore } from "./embedded.js";
export * from "./endpoints.js";
export * from "./epochs.js";
export { type EtcdOptions, EtcdStore } from "./etcd.js";
export type { EtcdAccess } from "./etcd-http.js";
export { gatewayTablesOf } from "./gateway-tables.js";
export * from "./ids.js";
export { type LeftTargets, leftTargets } from "./left-targets.js";
export * from "./loads.js";
export * from "./lookup.js";
export { MemoryStore } from "./memory.js";
export { openStore, type SharedDatabase } from "./open.js";
export * from "./plan.js";
export * from "./pools.js";
export * from "./records.js";
export { type ImposedStates, serving } from "./serving.js";
export { type SetTables, type Shares, spreadOf } from "./set-tables.js";
export { type ConfigStore, StaticStore } from "./static.js";
export * from "./store.js";
export * from "./tables.js";
export { SHARE_ABOVE, shapesOf, type TargetSet, TargetSetNames, type TargetSets } from "./target-sets.js";
export * from "./versions.js";
export { WatchedCopy } from "./watched-copy.js";
