/**
 * How a flow got its row: by a hash alone, or by the loads of two rows' targets (R18).
 *
 * Owns: that sentence of `explain`, and the same as values.
 * Must never: choose anew. The packet program's own function has chosen.
 */
import type { Explanation as NativeExplanation } from "../engine/index.js";
import { FULL_LOAD } from "../policy/index.js";
import type { Weighed } from "./types.js";

type NativeChoice = NonNullable<NativeExplanation["choice"]>;

/** The two rows that were compared, the chosen one first; null: the hash alone chose. */
export function weighedOf(choice: NativeChoice, nameOf: (target: number) => string): Weighed[] | null {
	const { other } = choice;
	if (other === undefined) return null;
	return [choice, other].map(({ row, target, load }) => ({ row, target: nameOf(target), load: load / FULL_LOAD }));
}

const SPREAD_BY = { flow: "its 5-tuple", source: "its source address", client: "its source address and port" } as const;

export function rowText(spread: keyof typeof SPREAD_BY, rows: number, row: number, weighed: Weighed[] | null): string {
	const by = SPREAD_BY[spread];
	const [winner, loser] = weighed ?? [];
	if (winner === undefined || loser === undefined) return `By ${by} it has row ${row} of ${rows}.`;
	if (winner.target === loser.target) {
		const which = winner.row === loser.row ? `row ${winner.row} twice` : `rows ${winner.row} and ${loser.row}`;
		return `By ${by} it has ${which}, of ${rows}: ${winner.target} either way.`;
	}
	const texts = loadTexts(winner.load, loser.load);
	const why = winner.load === loser.load ? "where loads are equal, the first row counts" : "the smaller load wins";
	const sides = [winner, loser].map(({ row, target }, i) => `${row} (${target}, load ${texts[i]} %)`);
	return `By ${by} it has rows ${sides.join(" and ")}, of ${rows}: ${why}.`;
}

/** In percent of the service's most loaded target, as exactly as it takes to tell them apart. */
function loadTexts(...loads: number[]): string[] {
	const texts = (digits: number) => loads.map((load) => (100 * load).toFixed(digits));
	const whole = texts(0);
	return whole[0] === whole[1] && loads[0] !== loads[1] ? texts(3) : whole;
}
