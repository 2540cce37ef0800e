/**
 * Probes: what is asked, which answer passes, and when the next one is due.
 *
 * Owns: the question and answer of DNS, and the schedule.
 * Must never: send, or read a clock.
 */

/** What is configured of a probe, as far as answers and schedule follow from it. */
export interface ProbeTerms {
	readonly intervalMs: number;
	/** 0 to 1, of the interval. */
	readonly jitter: number;
	/** Failures in a row. */
	readonly fall: number;
	/** Of a DNS question; "" is the root. */
	readonly name: string;
	readonly record: keyof typeof RECORD;
	/** Hex digits that the answer contains; null: any answer. */
	readonly expect: string | null;
	/** Of HTTP; null: 200 to 399. */
	readonly status: number | null;
}

const RECORD = { A: 1, NS: 2, SOA: 6, TXT: 16, AAAA: 28 } as const;

/** How one probe ended. */
export interface ProbeResult {
	readonly passed: boolean;
	/** Of a failure: "no answer", "connection refused", "status 503". */
	readonly detail: string;
	readonly ms: number;
}

/** After a failure the next probe follows at once, until enough of them have failed: so a death is found within one
 * interval and `fall` timeouts. */
const FASTEST_MS = 100;

/** From the end of a probe to the begin of the next one. `random`: 0 to 1. */
export function nextProbeMs(
	{ intervalMs, jitter, fall }: Pick<ProbeTerms, "intervalMs" | "jitter" | "fall">,
	failuresInARow: number,
	lastedMs: number,
	random: number,
): number {
	if (failuresInARow > 0 && failuresInARow < fall) return FASTEST_MS;
	const interval = intervalMs * (1 + jitter * (2 * random - 1));
	return Math.max(FASTEST_MS, interval - lastedMs);
}

const IN = 1;

/** A question of RFC 1035, recursion not desired. undefined: the name is not one. */
export function dnsQuestion({ name, record }: Pick<ProbeTerms, "name" | "record">, id: number): Buffer | undefined {
	const labels = name.split(".").filter((label, i, all) => label !== "" || i < all.length - 1);
	const parts = (name === "" || name === "." ? [] : labels).map((label) => Buffer.from(label, "latin1"));
	if (parts.some(({ length }) => length === 0 || length > 63)) return undefined;
	const head = Buffer.alloc(12);
	head.writeUInt16BE(id, 0);
	head.writeUInt16BE(1, 4);
	const tail = Buffer.alloc(5);
	tail.writeUInt16BE(RECORD[record], 1);
	tail.writeUInt16BE(IN, 3);
	return Buffer.concat([head, ...parts.flatMap((part) => [Buffer.from([part.length]), part]), tail]);
}

const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/** What is wrong with the answer; undefined: nothing. A server that answers "no such name", or refuses, serves. */
export function dnsFault(answer: Uint8Array, id: number): string | undefined {
	const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
	if (answer.length < 12 || view.getUint16(0) !== id || !(view.getUint8(2) & 0x80)) return "an answer that is not DNS";
	const rcode = view.getUint8(3) & 15;
	return rcode === 2 || rcode === 4 ? `answer ${RCODES[rcode]}` : undefined;
}

/** What is wrong with the answer to `send`; undefined: nothing. */
export function answerFault({ expect }: Pick<ProbeTerms, "expect">, answer: Uint8Array): string | undefined {
	if (expect === null) return undefined;
	return Buffer.from(answer).includes(Buffer.from(expect, "hex")) ? undefined : "another answer";
}

/** The same of an HTTP status. */
export function statusFault({ status }: Pick<ProbeTerms, "status">, got: number): string | undefined {
	const passed = status === null ? got >= 200 && got < 400 : got === status;
	return passed ? undefined : `status ${got}`;
}
