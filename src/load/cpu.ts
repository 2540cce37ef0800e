// cpu.ts - how busy the processors were, from two readings of /proc/stat.
//
// Busy is all time but idle and waiting for a disk. Time that a hypervisor took away counts as busy: this host cannot serve
// with it. One processor that is full can be the end of a host's packets while the others sleep; so the busiest stands
// beside the mean.
//
// Owns: the meaning of /proc/stat's columns.
// Must never: read the file (its text is handed in), or take a column that ran backwards for time.

/** Ticks of USER_HZ since boot, by processor. */
export interface CpuReading {
	readonly processors: ReadonlyMap<number, CpuTicks>;
}

interface CpuTicks {
	/** user nice system irq softirq steal; a guest's time is within user and nice. */
	readonly busy: readonly number[];
	/** idle iowait */
	readonly idle: readonly number[];
}

export interface CpuLoad {
	/** 0 to 1: over all processors that were there at both readings. */
	readonly busy: number;
	/** 0 to 1: of the busiest of them. */
	readonly busiest: number;
	readonly processors: number;
}

const IDLE = [3, 4];
const BUSY = [0, 1, 2, 5, 6, 7];
const LEAST_COLUMNS = 4; // user nice system idle; the others came later

/** null: this is no /proc/stat. */
export function parseProcStat(text: string): CpuReading | null {
	const processors = new Map<number, CpuTicks>();
	for (const line of text.split("\n")) {
		const match = /^cpu(\d+) +(\d[\d ]*)$/.exec(line);
		if (match === null) continue;
		const columns = (match[2] as string).trim().split(/ +/).map(Number);
		if (columns.length < LEAST_COLUMNS) return null;
		const of = (places: readonly number[]) => places.map((place) => columns[place] ?? 0);
		processors.set(Number(match[1]), { busy: of(BUSY), idle: of(IDLE) });
	}
	return processors.size === 0 ? null : { processors };
}

/** null: no tick has passed. */
export function cpuLoad(before: CpuReading, after: CpuReading): CpuLoad | null {
	let busy = 0;
	let total = 0;
	let busiest = 0;
	let processors = 0;
	for (const [number, now] of after.processors) {
		const then = before.processors.get(number);
		if (then === undefined) continue; // it came online in between
		const ownBusy = passed(then.busy, now.busy);
		const ownTotal = ownBusy + passed(then.idle, now.idle);
		if (ownTotal === 0) continue;
		processors++;
		busy += ownBusy;
		total += ownTotal;
		busiest = Math.max(busiest, ownBusy / ownTotal);
	}
	return total === 0 ? null : { busy: busy / total, busiest, processors };
}

/** Column by column: iowait is known to run backwards, and so does everything when a processor comes back online. */
function passed(before: readonly number[], after: readonly number[]): number {
	return after.reduce((sum, now, place) => sum + Math.max(0, now - (before[place] as number)), 0);
}
