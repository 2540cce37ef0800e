// witness-cap.mjs - captures with the `cap` package, which owes our code nothing: one line of hex per frame.
// Usage: node witness-cap.mjs INTERFACE FILTER

import { createRequire } from "node:module";

const { Cap } = createRequire(import.meta.url)("cap");
const [device, filter] = process.argv.slice(2);
const capture = new Cap();
const buffer = Buffer.alloc(65_536);
capture.open(device, filter, 1 << 20, buffer);
capture.setMinBytes?.(0);
capture.on("packet", (length) => console.log(buffer.toString("hex", 0, length)));
console.error("listening");
process.stdin.resume().on("end", () => process.exit(0));
