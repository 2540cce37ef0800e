// vitest.config.ts - which tests run how: `unit` in parallel, `lab` one file at a time afterwards.
//
// A lab test makes network namespaces and needs root (without it, it is skipped); it shares the machine with nothing else,
// since it waits for real packets.
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
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
					testTimeout: 60_000,
					hookTimeout: 60_000,
					fileParallelism: false,
					maxWorkers: 1,
					sequence: { groupOrder: 1 },
				},
			},
		],
	},
});
