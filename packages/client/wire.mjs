// wire.mjs - the ES module of the package's wire room. It re-exports the CommonJS build, so that programs which use both
// module systems share one cache.

export * from "./dist/wire/index.js";
