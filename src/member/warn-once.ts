// warn-once.ts - what goes on happening is told once: a problem that every second brings would bury all others.

/** A function that passes on each different problem once. */
export function warnOnce(warn: (problem: string) => void): (problem: string) => void {
	const given = new Set<string>();
	return (problem) => {
		if (given.has(problem)) return;
		given.add(problem);
		warn(problem);
	};
}
