export * from "./dist/wire/index.js";
