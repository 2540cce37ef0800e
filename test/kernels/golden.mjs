// golden.mjs RECORDING - the golden cases through this kernel's build of the packet program, by BPF_PROG_TEST_RUN.
//
// Compares byte for byte with test/golden/expected, and counters, targets and sessions with what user space answered when the
// recording was made (test/golden/recording.ts). The last line is `N cases`; a case that differs ends the run with its name.
//
// Owns: the comparison. Must never: need vitest, or compute an expectation.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deserialize } from "node:v8";
import { runFile } from "../../dist/engine/index.js";

const expected = join(import.meta.dirname, "../golden/expected");
const work = mkdtempSync(join(tmpdir(), "shunt-golden-"));
const output = join(work, "out.pcap");
const inner = join(work, "inner.pcap");

/** What differs, in a phrase; undefined: nothing. */
function difference({ name, options, result }) {
	const ran = runFile({
		...options,
		kernel: true,
		explain: false,
		input: join(expected, name, "in.pcap"),
		output,
		inner,
	});
	for (const [i, reason] of result.reasons.entries())
		if (ran.reasons[i] !== reason) return `packet ${i}: ${ran.reasons[i]}, not ${reason}`;
	for (const what of ["sessions", "targets"]) if (plain(ran[what]) !== plain(result[what])) return `${what} differ`;
	for (const what of ["reasons", "packetsIn", "bytesIn", "sent", "sentMade"])
		if (plain(ran.counters[what]) !== plain(result.counters[what])) return `counters: ${what} differ`;
	if (!readFileSync(output).equals(readFileSync(join(expected, name, "out.pcap")))) return "out.pcap differs";
	if (!readFileSync(inner).equals(readFileSync(join(expected, name, "inner.pcap")))) return "inner.pcap differs";
	return undefined;
}

/** As text; a Buffer that was serialized has come back as a Uint8Array. */
function plain(value) {
	return JSON.stringify(value, (_, one) => {
		if (one instanceof Map) return [...one];
		if (typeof one === "bigint") return String(one);
		if (one?.type === "Buffer") return one.data;
		return one instanceof Uint8Array ? [...one] : one;
	});
}

// Cases with tables of the same sizes follow each other: the program is verified once for each size.
const cases = deserialize(readFileSync(process.argv[2]));
cases.sort((one, other) => (one.options.sessions4 ?? 0) - (other.options.sessions4 ?? 0));
for (const one of cases) {
	const why = difference(one);
	if (why === undefined) continue;
	console.error(`golden: ${one.name}: ${why}`);
	process.exitCode = 1;
}
rmSync(work, { recursive: true });
console.log(`${cases.length} cases`);
