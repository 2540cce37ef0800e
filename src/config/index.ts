// index.ts - what other rooms may import from config/.

export {
	type Address,
	addressText,
	holdsAddress,
	maskBytes,
	type Prefix,
	parseAddress,
	parsePrefix,
	parseServiceAddress,
	serviceAddressText,
} from "./address.js";
export {
	ANY_HOST,
	type Assembled,
	assemble,
	fieldsOf,
	type InvalidRecord,
	localFields,
	recordFault,
	SETTINGS,
	type SharedRecords,
	sharedRecords,
} from "./assemble.js";
export { databaseOf, databaseText } from "./database.js";
export * from "./digest.js";
export { fingerprintOf } from "./fingerprints.js";
export { exportJsonSchema, fieldTable } from "./json-schema.js";
export * from "./model.js";
export * from "./overrides.js";
export { areMany, isAny, MAX_RANGES, type Ports, portsText } from "./ports.js";
export { ConfigError, type Problem, problemText, type Warning } from "./problems.js";
export { parseDuration } from "./quantities.js";
export { type FileFields, parseConfig, readConfig, readFields } from "./read.js";
export { readConfigAside, reusing } from "./read-aside.js";
export { redirectionsOf } from "./redirections.js";
export { readSecretFile } from "./secret-file.js";
export { tunnelSources } from "./tunnel-sources.js";
