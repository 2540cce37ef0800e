// table-fields.test.ts - what follows from native/datapath/table_fields.yaml is in the tree, and is up to date.
// `node scripts/table-fields.mjs` writes it.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

test("the files that are generated from table_fields.yaml are up to date", () => {
	const script = join(import.meta.dirname, "../../scripts/table-fields.mjs");
	const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
	expect(stderr).toBe("");
	expect(status).toBe(0);
});
