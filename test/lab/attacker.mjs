// attacker.mjs - sends frames that somebody else should have sent, at a bounded rate and for a bounded number, by the addon's injector.
// Usage: node attacker.mjs '{ "interface": NAME, "frames": [HEX…], "count": N, "pps": N }'

import { inject } from "../../dist/engine/index.js";

const { frames, ...options } = JSON.parse(process.argv[2]);
const result = await inject({ ...options, frames: frames.map((hex) => Buffer.from(hex, "hex")) });
process.stdout.write(`${JSON.stringify(result)}\n`);
