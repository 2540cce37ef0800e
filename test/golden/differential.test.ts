// differential.test.ts - both engines are one program: tables and packets at random, more than a million, and nothing differs.
//
// A failure names its seed and shows the packet; SHUNT_SEEDS=7 runs that one alone, SHUNT_SEEDS=1000-1999 a thousand others.
//
// Owns: the comparison. What tables and packets may be is random/'s.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type FileRunResult, reasons, runFile } from "../../src/engine/index.js";
import { contradiction } from "./explained.js";
import { type Film, makeFilm } from "./random/film.js";

const PACKETS = 70_000;
const SEEDS = seeds(process.env.SHUNT_SEEDS ?? "1-16");

/** What random packets can't meet: full or refusing links, a frame without room before it. */
const NEVER = ["transmit_full", "transmit_failed", "no_headroom", "probe_unserved"];

const work = mkdtempSync(join(tmpdir(), "shunt-random-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

function seeds(text: string): number[] {
	const [first = 1, last = first] = text.split("-").map(Number);
	return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

interface Seen extends FileRunResult {
	out: Buffer;
	inner: Buffer;
}

function run(film: Film, kernel: boolean): Seen {
	const name = kernel ? "kernel" : "user";
	const output = join(work, `${name}.out.pcap`);
	const inner = join(work, `${name}.inner.pcap`);
	const result = runFile({
		kernel,
		explain: true,
		steps: film.steps,
		sent: film.sent,
		input: join(work, "in.pcap"),
		output,
		inner,
		...film.sizes,
	});
	return { ...result, out: readFileSync(output), inner: readFileSync(inner) };
}

/** Records of a pcap, one by one. */
function* records(pcap: Buffer): Generator<Buffer> {
	for (let at = 24; at < pcap.length; at += 16 + pcap.readUInt32LE(at + 8))
		yield pcap.subarray(at, at + 16 + pcap.readUInt32LE(at + 8));
}

/** The first packet that the engines took differently, in words. */
function difference(film: Film, seed: number, user: Seen, kernel: Seen): string | undefined {
	const verdicts = new Map(reasons().map(({ name, verdict }) => [name, verdict]));
	const files = { out: [records(user.out), records(kernel.out)], inner: [records(user.inner), records(kernel.inner)] };
	const tell = (i: number, what: string) =>
		`seed ${seed}, packet ${i}: ${what}; user space: ${user.reasons[i]}, target ${user.packetTargets[i]}; ` +
		`the kernel: ${kernel.reasons[i]}, target ${kernel.packetTargets[i]}\n${film.frame(i).toString("hex")}`;
	let fragmented = false;
	for (const [i, reason] of user.reasons.entries()) {
		if (reason !== kernel.reasons[i] || user.packetTargets[i] !== kernel.packetTargets[i])
			return tell(i, "they differ");
		fragmented ||= reason === "fragmented"; // several records for one packet: then the whole files are compared
		if (fragmented) continue;
		const verdict = verdicts.get(reason) ?? "sent";
		const file = reason === "delivered" ? "inner" : ["pass", "drop", "sent"].includes(verdict) ? undefined : "out";
		if (file === undefined) continue;
		const [one, other] = files[file].map((all) => all.next().value as Buffer | undefined);
		if (one === undefined || other === undefined || !one.equals(other))
			return tell(i, `sent ${one?.toString("hex")} and ${other?.toString("hex")}`);
	}
	for (const what of ["out", "inner"] as const)
		if (!user[what].equals(kernel[what])) return `seed ${seed}: the files of what was sent differ`;
	return undefined;
}

describe.skipIf(process.getuid?.() !== 0)(
	"packets at random through both engines (root hands them to the kernel)",
	() => {
		const met = new Set<string>();

		test.each(SEEDS)(
			"R27: seed %i: the same reasons, bytes, counters and sessions, and explain knew",
			(seed) => {
				const film = makeFilm(seed, PACKETS);
				writeFileSync(join(work, "in.pcap"), film.pcap);
				const user = run(film, false);
				const kernel = run(film, true);

				expect(difference(film, seed, user, kernel)).toBeUndefined();
				expect(kernel.counters.reasons, `seed ${seed}`).toEqual(user.counters.reasons);
				expect([...kernel.targets], `seed ${seed}`).toEqual([...user.targets]);
				expect(kernel.counters.bytesIn, `seed ${seed}`).toBe(user.counters.bytesIn);
				expect(kernel.sessions, `seed ${seed}`).toEqual(user.sessions);
				const counted = Object.values(user.counters.reasons).reduce((sum, { packets }) => sum + packets, 0);
				expect([counted, user.reasons.length], `seed ${seed}`).toEqual([PACKETS - film.sent.length, PACKETS]);
				expect([kernel.counters.sent, kernel.counters.sentMade], `seed ${seed}`).toEqual([
					user.counters.sent,
					user.counters.sentMade,
				]);
				for (const [name, seen] of Object.entries({ user, kernel }))
					expect(contradiction(seen, film.frame), `seed ${seed}, ${name}`).toBeUndefined();
				for (const reason of user.reasons) met.add(reason);
			},
			60_000,
		);

		test.skipIf(process.env.SHUNT_SEEDS)(
			"all that packets can meet is met, so that the chance is worth something",
			() => {
				for (const what of ["nothing", "renewed", "made"]) expect(met).toContain(`sent: ${what}`);
				const missed = reasons().flatMap(({ name }) => (met.has(name) || NEVER.includes(name) ? [] : [name]));
				expect(missed).toEqual([]);
			},
		);
	},
);
