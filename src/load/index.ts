// index.ts - what other rooms may import from load/.

export * from "./cpu.js";
export * from "./datagram.js";
export * from "./identity-report.js";
export * from "./link-rates.js";
export * from "./override-report.js";
export * from "./report.js";
