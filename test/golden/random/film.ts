// film.ts - one run at random, by its seed: tables that change, and a pcap of packets aimed at them.
//
// Owns: the clock, the sizes of the session tables, and when tables change.

import type { FileRunOptions } from "../../../src/engine/index.js";
import { ROLE } from "../../../src/policy/index.js";
import { Dice } from "./dice.js";
import { Draft } from "./draft.js";
import { Frames } from "./frames.js";
import { change, newWorld, tablesOf } from "./world.js";

const PCAP_HEAD = 24;
const RECORD_HEAD = 16;
const ROOM = 160 * 1024 * 1024;
const LARGEST_FRAME = 80_000;

/** One for all runs, which follow each other. */
let draft: Draft | undefined;

export interface Film {
	/** Valid until the next film is made. */
	readonly pcap: Buffer;
	readonly steps: FileRunOptions["steps"];
	/** Frames that the server sends. */
	readonly sent: readonly number[];
	readonly sizes: { readonly sessions4: number; readonly sessions6: number; readonly fragments: number };
	/** Frame i, as it came. */
	frame(i: number): Buffer;
}

export function makeFilm(seed: number, packets: number): Film {
	const dice = new Dice(seed);
	const world = newWorld(dice);
	draft ??= new Draft(ROOM);
	const to = draft;
	to.at = 0;
	const frames = new Frames(dice, world, to);
	const places: number[] = [];
	const sent: number[] = [];
	const steps: { at: number; tables: ReturnType<typeof tablesOf> }[] = [];
	let seconds = dice.between(1, 0x6fffffff);
	let ns = dice.below(1e9);

	to.bytes.writeUInt32LE(0xa1b23c4d, 0);
	to.bytes.writeUInt16LE(2, 4);
	to.bytes.writeUInt16LE(4, 6);
	to.bytes.fill(0, 8, 16);
	to.bytes.writeUInt32LE(262_144, 16);
	to.bytes.writeUInt32LE(1, 20);
	to.at = PCAP_HEAD;
	const first = dice.once(3) ? dice.below(200) : 0; // packets before there are tables
	const perStep = Math.ceil(packets / dice.between(5, 30));
	for (let i = 0; i < packets && to.at + LARGEST_FRAME < ROOM; i++) {
		if (i >= first && (i - first) % perStep === 0) {
			if (i > first) change(dice, world);
			steps.push({ at: i, tables: tablesOf(world) });
		}
		const head = to.at;
		to.at += RECORD_HEAD;
		if ((world.roles & ROLE.backend) !== 0 && dice.once(12)) {
			frames.writeSent();
			sent.push(i);
		} else frames.write((seconds + world.wallS + (ns + world.wallNs >= 1e9 ? 1 : 0)) >>> 0);
		to.bytes.writeUInt32LE(seconds, head);
		to.bytes.writeUInt32LE(ns, head + 4);
		to.bytes.writeUInt32LE(to.at - head - RECORD_HEAD, head + 8);
		to.bytes.writeUInt32LE(to.at - head - RECORD_HEAD, head + 12);
		places.push(head);
		ns += later(dice);
		while (ns >= 1e9) {
			ns -= 1e9;
			seconds++;
		}
		ns = Math.max(ns, 0);
		if (dice.once(20_000)) seconds += dice.between(20, 100_000);
	}
	const pcap = to.bytes.subarray(0, to.at);
	return {
		pcap,
		steps,
		sent,
		sizes: {
			sessions4: dice.one([1, 8, 30, 100, 1000, 20_000]),
			sessions6: dice.one([1, 8, 30, 100, 1000, 20_000]),
			fragments: dice.one([1, 4, 256]),
		},
		frame: (i) => {
			const head = places[i] as number;
			return pcap.subarray(head + RECORD_HEAD, head + RECORD_HEAD + pcap.readUInt32LE(head + 8));
		},
	};
}

/** Nanoseconds to the next packet: mostly few, now and then enough for a session to be idle; rarely back. */
function later(dice: Dice): number {
	if (dice.once(500)) return dice.between(1, 3) * 1e9 + dice.below(1e9);
	if (dice.once(100)) return dice.below(100_000_000);
	if (dice.once(1000)) return -dice.below(3_000_000);
	return dice.below(dice.one([1000, 100_000, 2_000_000]));
}
