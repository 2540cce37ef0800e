// time-of-day.ts - when something began, as reasons of health tell an operator.

/** "12:01:07", of local time. `at`: milliseconds since 1970. */
export function timeOfDay(at: number = Date.now()): string {
	return new Date(at).toTimeString().slice(0, 8);
}
