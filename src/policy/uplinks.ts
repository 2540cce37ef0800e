// uplinks.ts - which of a backend's addresses is handed out: by the headroom of the links that they are on (R12).
//
//   wanted share = headroom / cost, over the sum of all        headroom = speed - use in the busier direction
//
// Shares by the headroom that is left converge to shares by the headroom that there is for us: if s = c · h and
// h = speed - others' - s · T, then s is in proportion to speed - others'. What is published moves towards what is wanted by
// a part that is the smaller the fuller the links are: there a small change of shares is a large one of headrooms, and the
// whole way at once would swing. It moves when it is worth it (DEAD_BAND), at most by LARGEST_STEP.
//
// A link that is used beyond its cap gets no new sessions while another is below its own, at once and not in steps; it
// comes back RELIEF below it. A link that has room keeps at least FLOOR, so that its headroom is known by traffic and no
// link has all. Where a speed is unknown headrooms cannot be compared: shares are even, over costs.
//
// Must never: change a session; only new ones follow.

/** Of the way, at each adjustment, where the links are idle. */
export const PART = 0.3;
export const DEAD_BAND_SHARE = 0.01;
export const LARGEST_STEP_SHARE = 0.1;
export const FLOOR = 0.02;
export const RELIEF = 0.05;

export interface UplinkNow {
	readonly cost: number;
	/** 0 to 1. */
	readonly cap: number;
	/** False: it has no share at all. */
	readonly up: boolean;
	/** Bits per second; 0: unknown. */
	readonly speedBps: number;
	/** In the busier direction. */
	readonly usedBps: number;
}

export interface UplinkShare {
	/** As published; the shares of those that are up sum to 1, as near as the dead band lets them. */
	readonly share: number;
	readonly capped: boolean;
}

/** `before`: in the same order, undefined for one that is new. */
export function nextShares(uplinks: readonly UplinkNow[], before: readonly (UplinkShare | undefined)[]): UplinkShare[] {
	const over = uplinks.map((one, i) => isCapped(one, before[i]?.capped ?? false));
	const relieved = uplinks.some((one, i) => one.up && !over[i]);
	const open = uplinks.map((one, i) => one.up && !(over[i] && relieved));
	const known = uplinks.every((one) => !one.up || one.speedBps > 0);
	const headroom = (one: UplinkNow) => Math.max(0, one.speedBps - one.usedBps);
	// Where all are full, by speed.
	const full = uplinks.every((one, i) => !open[i] || headroom(one) === 0);
	const pull = uplinks.map((one, i) => (open[i] ? (known ? (full ? one.speedBps : headroom(one)) : 1) / one.cost : 0));
	const wanted = withFloor(pull, open);

	const speeds = sum(uplinks.map((one, i) => (open[i] ? one.speedBps : 0)));
	const free = known && speeds > 0 ? sum(uplinks.map((one, i) => (open[i] ? headroom(one) : 0))) / speeds : 1;
	const began = before.every((one) => one !== undefined);
	const shares = uplinks.map((_, i) => {
		const now = before[i]?.share ?? 0;
		// At once: the first shares of all, and what closes or opens.
		if (!began || !open[i] || now === 0) return wanted[i]!;
		const step = PART * Math.max(free, 0.05) * (wanted[i]! - now);
		return now + Math.min(LARGEST_STEP_SHARE, Math.max(-LARGEST_STEP_SHARE, step));
	});
	return uplinks.map((_, i) => ({ share: shares[i]!, capped: over[i]! }));
}

/** Have the shares moved so far that they are worth publishing? */
export function sharesMoved(before: readonly number[], after: readonly number[]): boolean {
	return after.some((share, i) => {
		const was = before[i] ?? 0;
		return (share === 0) !== (was === 0) || Math.abs(share - was) > DEAD_BAND_SHARE;
	});
}

function isCapped({ speedBps, usedBps, cap }: UplinkNow, before: boolean): boolean {
	return speedBps > 0 && usedBps / speedBps >= (before ? cap - RELIEF : cap);
}

/** Shares in proportion to `pull`, none of those that are open below FLOOR; they sum to 1 if one is open. */
function withFloor(pull: readonly number[], open: readonly boolean[]): number[] {
	const total = sum(pull);
	const many = open.filter(Boolean).length;
	if (many === 0) return pull.map(() => 0);
	const plain = pull.map((one, i) => (open[i] ? (total === 0 ? 1 / many : one / total) : 0));
	const floor = Math.min(FLOOR, 1 / many);
	const lifted = plain.map((share, i) => open[i] && share < floor);
	const room = 1 - floor * lifted.filter(Boolean).length;
	const rest = sum(plain.filter((_, i) => !lifted[i]));
	return plain.map((share, i) => (lifted[i] ? floor : rest === 0 ? 0 : (share / rest) * room));
}

function sum(values: readonly number[]): number {
	return values.reduce((all, one) => all + one, 0);
}
