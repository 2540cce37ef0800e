// recording.ts - the golden cases for a kernel under which vitest is too slow: what each case ran with in user space, and what
// came of it. scripts/kernels has it written on the host (SHUNT_RECORDING), and test/kernels/golden.mjs repeats it in the guest.
//
// Owns: the file's form (v8's serialization). Must never: hold what expected/ has, the bytes of packets.

import { writeFileSync } from "node:fs";
import { serialize } from "node:v8";
import type { FileRunOptions, FileRunResult } from "../../src/engine/index.js";

const file = process.env.SHUNT_RECORDING;
const cases: unknown[] = [];

/** Does nothing unless a recording was asked for. */
export function record(name: string, options: FileRunOptions, result: FileRunResult): void {
	if (file === undefined) return;
	const { reasons, sessions, targets, counters } = result;
	cases.push({ name, options, result: { reasons, sessions, targets, counters } });
}

export function writeRecording(): void {
	if (file !== undefined) writeFileSync(file, serialize(cases));
}
