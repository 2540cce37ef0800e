// attacker.mjs - sends frames with forged sources through the addon's injector, bounded in rate and number.
// Usage: node attacker.mjs '{ "interface": NAME, "frames": [HEX…], "count": N, "pps": N }'

import { inject } from "../../dist/engine/index.js";

const { frames, ...options } = JSON.parse(process.argv[2]);
const result = await inject({ ...options, frames: frames.map((hex) => Buffer.from(hex, "hex")) });
process.stdout.write(`${JSON.stringify(result)}\n`);
