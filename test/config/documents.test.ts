// documents.test.ts - what is generated from the sources is up to date. `npx vitest run test/config -u` rewrites it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exportJsonSchema, fieldTable, readConfig } from "../../src/config/index.js";
import { ERRORS, errorsDocument, ShuntError } from "../../src/errors.js";

const root = join(import.meta.dirname, "../..");

test("schema/shunt.schema.json is generated from the schema", async () => {
	await expect(`${JSON.stringify(exportJsonSchema(), null, "\t")}\n`).toMatchFileSnapshot(
		join(root, "schema/shunt.schema.json"),
	);
});

test("docs/errors.md is generated from the table of errors", async () => {
	await expect(errorsDocument()).toMatchFileSnapshot(join(root, "docs/errors.md"));
});

test("docs/configuration.md has the table of fields that the schema generates", async () => {
	const file = join(root, "docs/configuration.md");
	const text = readFileSync(file, "utf8");
	const fresh = text.replace(/(<!-- fields -->\n)[\s\S]*(<!-- \/fields -->)/, (_, a, b) => `${a}${fieldTable()}\n${b}`);
	expect(fresh).toContain("| `services.<name>.sources[].from` |");
	await expect(fresh).toMatchFileSnapshot(file);
});

test.each(["cli", "configuration", "errors"])("docs/%s.md: prose ends at column 120, no line exceeds 400", (page) => {
	const lines = readFileSync(join(root, `docs/${page}.md`), "utf8").split("\n");
	let code = false;
	for (const line of lines) {
		if (line.startsWith("```")) code = !code;
		expect([...line].length, line).toBeLessThanOrEqual(code || line.startsWith("|") ? 400 : 120);
	}
});

test("the example in docs/configuration.md is accepted", async () => {
	const text = readFileSync(join(root, "docs/configuration.md"), "utf8");
	const { parseConfig } = await import("../../src/config/index.js");
	const blocks = [...text.matchAll(/```yaml\n(version: 1\n[\s\S]*?)```/g)].map((match) => match[1]!);
	expect(blocks.length).toBeGreaterThan(0);
	for (const block of blocks) expect(parseConfig(block, "docs/configuration.md").services.length).toBeGreaterThan(0);
});

test.each(["dns", "game"])("examples/%s.yaml is accepted", (name) => {
	expect(readConfig(join(root, `examples/${name}.yaml`)).services.length).toBeGreaterThan(0);
});

test("error codes are sorted, and a missing field shows as its name", () => {
	const codes = Object.keys(ERRORS);
	expect(codes).toEqual([...codes].sort());
	expect(new ShuntError("SHUNT_INTERFACE_MISSING").message).toContain("{interface}");
	const error = new ShuntError("SHUNT_INTERFACE_MISSING", { interface: "eth9" });
	expect(error).toMatchObject({ code: "SHUNT_INTERFACE_MISSING", exitStatus: 3 });
	expect(error.message).toBe("This host has no interface eth9.");
});
