// cpu.ts - the processors' use, from two readings of /proc/stat.
//
// Busy is all time except idle and iowait. Stolen time counts as busy: this host cannot use it. A single full processor
// can limit a host's packets while others are idle, so the busiest is given beside the mean.
//
// Owns: the meaning of the columns of /proc/stat.
// Must never: read the file (it is an argument), or count a column that ran backwards.

/** Ticks of USER_HZ since boot, by processor. */
export interface CpuReading {
	readonly processors: ReadonlyMap<number, CpuTicks>;
}

interface CpuTicks {
	/** user nice system irq softirq steal; user and nice include guests. */
	readonly busy: readonly number[];
	/** idle iowait */
	readonly idle: readonly number[];
}

export interface CpuLoad {
	/** 0 to 1: of all processors that are in both readings. */
	readonly busy: number;
	/** 0 to 1: of the busiest of them. */
	readonly busiest: number;
	readonly processors: number;
}

const IDLE = [3, 4];
const BUSY = [0, 1, 2, 5, 6, 7];
const MIN_COLUMNS = 4; // user nice system idle: old kernels have no others

/** null: the text is not from /proc/stat. */
export function parseProcStat(text: string): CpuReading | null {
	const processors = new Map<number, CpuTicks>();
	for (const line of text.split("\n")) {
		const match = /^cpu(\d+) +(\d[\d ]*)$/.exec(line);
		if (match === null) continue;
		const columns = (match[2] as string).trim().split(/ +/).map(Number);
		if (columns.length < MIN_COLUMNS) return null;
		const select = (indices: readonly number[]) => indices.map((index) => columns[index] ?? 0);
		processors.set(Number(match[1]), { busy: select(BUSY), idle: select(IDLE) });
	}
	return processors.size === 0 ? null : { processors };
}

/** null: no tick has passed between the readings. */
export function cpuLoad(before: CpuReading, after: CpuReading): CpuLoad | null {
	let busy = 0;
	let total = 0;
	let busiest = 0;
	let processors = 0;
	for (const [number, current] of after.processors) {
		const previous = before.processors.get(number);
		if (previous === undefined) continue; // went online in between
		const ownBusy = elapsed(previous.busy, current.busy);
		const ownTotal = ownBusy + elapsed(previous.idle, current.idle);
		if (ownTotal === 0) continue;
		processors++;
		busy += ownBusy;
		total += ownTotal;
		busiest = Math.max(busiest, ownBusy / ownTotal);
	}
	return total === 0 ? null : { busy: busy / total, busiest, processors };
}

/** By column: iowait can run backwards, and all columns can when a processor goes online again. */
function elapsed(before: readonly number[], after: readonly number[]): number {
	return after.reduce((sum, ticks, column) => sum + Math.max(0, ticks - (before[column] as number)), 0);
}
