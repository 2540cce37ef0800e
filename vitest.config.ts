// vitest.config.ts - which tests run how: `unit` in parallel, `lab` one file at a time afterwards.
//
// A lab test makes network namespaces and needs root (without it, it is skipped). Its files mostly wait for real packets:
// SHUNT_LAB_WORKERS=2 runs two at a time. Those of test/lab/alone.ts come last, and turn.ts lets them run alone.
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { isAlone } from "./test/lab/alone.js";

class AloneLast extends BaseSequencer {
	override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
		const sorted = await super.sort(files);
		return [...sorted.filter((file) => !isAlone(file.moduleId)), ...sorted.filter((file) => isAlone(file.moduleId))];
	}
}

export default defineConfig({
	test: {
		sequence: { sequencer: AloneLast },
		projects: [
			{
				test: {
					name: "unit",
					include: ["test/**/*.test.ts"],
					exclude: ["test/lab/**"],
					testTimeout: 20_000,
					sequence: { groupOrder: 0 },
				},
			},
			{
				test: {
					name: "lab",
					include: ["test/lab/**/*.test.ts"],
					setupFiles: ["test/lab/turn.ts"],
					// A process for each file: its pid names the file's labs.
					pool: "forks",
					testTimeout: 60_000,
					hookTimeout: 180_000,
					maxWorkers: Number(process.env.SHUNT_LAB_WORKERS ?? 1),
					sequence: { groupOrder: 1 },
				},
			},
		],
	},
});
