// bad.test.ts - every file of bad/ is refused with exactly the sentences of its .expected (rewritten by -u: then read
// it).
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, problemText, readConfig } from "../../src/config/index.js";

const folder = join(import.meta.dirname, "bad");
const cases = readdirSync(folder).filter((file) => file.endsWith(".yaml"));

function problemsOf(file: string): ConfigError {
	try {
		readConfig(join(folder, file));
	} catch (error) {
		if (error instanceof ConfigError) return error;
		throw error;
	}
	throw new Error(`${file} was accepted`);
}

describe("bad configurations", () => {
	test.each(cases)("%s is refused with place, field, value, rule and remedy", async (file) => {
		const error = problemsOf(file);
		const lines = error.problems.map((problem) => `${problem.code} ${problemText({ ...problem, file })}\n`);
		await expect(lines.join("")).toMatchFileSnapshot(join(folder, file.replace(".yaml", ".expected")));
		expect(error.exitStatus).toBe(2);
		for (const problem of error.problems) {
			expect(problem.message, "one sentence").not.toMatch(/\n|\.\s*$|undefined|Invalid input/);
			expect(problem.message, "no secret is shown").not.toMatch(/112233445566778899/);
		}
	});

	test("there are at least 60 of them", () => expect(cases.length).toBeGreaterThanOrEqual(60));
});
