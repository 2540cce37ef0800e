// schema.ts - `shunt schema`: the configuration's JSON Schema, for editors.

import { exportJsonSchema } from "../config/index.js";

export async function schema(): Promise<void> {
	process.stdout.write(`${JSON.stringify(exportJsonSchema(), null, "\t")}\n`);
}
