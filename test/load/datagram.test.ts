// datagram.test.ts - load datagrams: round trips, and refusal of every invalid one.

import { describe, expect, test } from "vitest";
import {
	decode,
	encode,
	type LoadAnswer,
	type LoadRefusal,
	type LoadReport,
	MOST_BYTES,
	questionNonce,
	unverifiedRefusal,
} from "../../src/load/index.js";

const KEYS = [
	{ id: 1, secret: "00112233445566778899aabbccddeeff" },
	{ id: 2, secret: "ffeeddccbbaa99887766554433221100" },
];
const [first, second] = KEYS as [(typeof KEYS)[0], (typeof KEYS)[0]];
const NOW = 1_790_000_000_000;
const REST = { rxPps: 3000.5, txPps: 1, drops: 0, errors: 0.25 };
const REPORT: LoadReport = {
	server: "b1",
	at: NOW,
	total: 0.31,
	udpSessions: 2900,
	tcpSessions: 200,
	cpu: 0.5,
	link: null,
	uplinks: [
		{ addresses: ["10.77.11.2", "fd77:11::2"], up: true, speedBps: 100e6, rxBps: 31.5e6, txBps: 2e3, ...REST },
		{ addresses: ["10.77.21.2"], up: false, speedBps: 0, rxBps: 0, txBps: 0, ...REST },
	],
};
const answer: LoadAnswer = { kind: "answer", nonce: 0x0123456789abcdefn, at: NOW, report: REPORT };

describe("load datagrams", () => {
	test("R13: questions and answers decode to what was encoded, under either of two keys", () => {
		for (const key of KEYS) {
			const question = { kind: "question", nonce: 0xffffffffffffffffn, at: NOW } as const;
			expect(decode(encode(question, key), KEYS, NOW, 30_000)).toEqual(question);
			expect(decode(encode(answer, key), KEYS, NOW, 30_000)).toEqual(answer);
		}
	});

	test("R31: a report may say that the engine outlives its daemon, and that the daemon leaves; an older one does not", () => {
		for (const flags of [{ survives: true }, { survives: false, leaving: true }, {}]) {
			const one: LoadAnswer = { ...answer, report: { ...REPORT, ...flags } };
			expect(decode(encode(one, first), KEYS, NOW, 30_000)).toEqual(one);
		}
		const unbound = [{ service: "udp/203.0.113.53/53", port: 5353 }];
		const ports: LoadAnswer = { ...answer, report: { ...REPORT, unbound } };
		expect(decode(encode(ports, first), KEYS, NOW, 30_000)).toEqual(ports);
		for (const wrong of ["all", [{}], [{ service: "udp/203.0.113.53/53" }], Array(101).fill(unbound[0])]) {
			const refused = { ...answer, report: { ...REPORT, unbound: wrong } } as unknown as LoadAnswer;
			expect(decode(encode(refused, first), KEYS, NOW, 30_000)).toBe("body");
		}
		const bad = { ...answer, report: { ...REPORT, leaving: "yes" } } as unknown as LoadAnswer;
		expect(decode(encode(bad, first), KEYS, NOW, 30_000)).toBe("body");
	});

	test("any flipped bit is detected", () => {
		const good = encode(answer, first);
		for (let bit = 0; bit < good.length * 8; bit++) {
			const bad = Buffer.from(good);
			bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
			expect(typeof decode(bad, KEYS, NOW, 30_000), `bit ${bit}`).toBe("string");
		}
	});

	test("an unknown key and another cluster's key are refused", () => {
		expect(decode(encode(answer, second), [first], NOW, 30_000)).toBe("key");
		expect(decode(encode(answer, { id: 1, secret: second.secret }), KEYS, NOW, 30_000)).toBe("tag");
	});

	test("datagrams outside the time window are refused", () => {
		const datagram = encode(answer, first);
		expect(decode(datagram, KEYS, NOW + 30_000, 30_000)).toEqual(answer);
		const outside = { kind: "outside", nonce: answer.nonce, at: NOW };
		expect(decode(datagram, KEYS, NOW + 30_001, 30_000)).toEqual(outside);
		expect(decode(datagram, KEYS, NOW - 30_001, 30_000)).toEqual(outside);
	});

	test("R37: a refusal says why at any difference of the clocks, is as long as the question, and is one of three", () => {
		const question = encode({ kind: "question", nonce: 7n, at: NOW }, first);
		for (const why of ["window", "key", "tag"] as const) {
			const refusal: LoadRefusal = { kind: "refusal", nonce: 7n, at: NOW + 3_600_000, why };
			const datagram = encode(refusal, first);
			expect(datagram.length).toBe(question.length);
			expect(decode(datagram, KEYS, NOW, 30_000)).toEqual(refusal);
			expect(decode(datagram, [second], NOW, 30_000), "of an unknown key").toBe("key");
			expect(unverifiedRefusal(datagram)).toEqual(refusal);
			expect(questionNonce(datagram), "no question: it is never refused itself").toBeUndefined();
		}
		expect(questionNonce(question)).toBe(7n);
		expect(unverifiedRefusal(question)).toBeUndefined();
		for (const bad of [
			Buffer.alloc(0),
			Buffer.alloc(40),
			question.subarray(0, 39),
			Buffer.concat([question, question]),
		])
			expect([questionNonce(bad), unverifiedRefusal(bad)]).toEqual([undefined, undefined]);
		const unknown = encode({ kind: "refusal", nonce: 7n, at: NOW, why: "key" }, first);
		unknown[7] = 4;
		expect(unverifiedRefusal(unknown)).toBeUndefined();
	});

	test("R37: a report carries the digest of the configuration, checks of keys and the version; an older one does not", () => {
		const identity = { config: "0123456789abcdef", keys: [{ id: 1, check: "01234567" }], version: "0.1.0" };
		const one: LoadAnswer = { ...answer, report: { ...REPORT, identity } };
		expect(decode(encode(one, first), KEYS, NOW, 30_000)).toEqual(one);
		for (const bad of [
			{},
			null,
			{ ...identity, config: "0123" },
			{ ...identity, config: "0123456789ABCDEF" },
			{ ...identity, version: "" },
			{ ...identity, version: "x".repeat(65) },
			{ ...identity, keys: [{ id: 256, check: "01234567" }] },
			{ ...identity, keys: [{ id: 1, check: first.secret }] },
			{ ...identity, keys: Array.from({ length: 257 }, () => identity.keys[0]) },
		]) {
			const datagram = encode({ ...answer, report: { ...REPORT, identity: bad } as LoadReport }, first);
			expect(decode(datagram, KEYS, NOW, 30_000), JSON.stringify(bad)).toBe("body");
		}
	});

	test("a body that is not a report is refused, although its tag is valid", () => {
		const bodies: unknown[] = [
			null,
			[],
			{},
			{ ...REPORT, total: -0.1 },
			{ ...REPORT, total: null },
			{ ...REPORT, udpSessions: 1.5 },
			{ ...REPORT, cpu: 1.1 },
			{ ...REPORT, server: "" },
			{ ...REPORT, server: "x".repeat(65) },
			{ ...REPORT, uplinks: [{ ...REPORT.uplinks[0], up: 1 }] },
			{ ...REPORT, uplinks: [{ ...REPORT.uplinks[0], addresses: [7] }] },
			{ ...REPORT, uplinks: Array.from({ length: 65 }, () => REPORT.uplinks[1]) },
		];
		for (const body of bodies) {
			const datagram = encode({ ...answer, report: body as LoadReport }, first);
			expect(decode(datagram, KEYS, NOW, 30_000), JSON.stringify(body)).toBe("body");
		}
	});

	test("200,000 corrupted and truncated datagrams are refused without an exception", () => {
		const good = encode(answer, first);
		let seed = 1;
		const random = (below: number) => {
			seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
			return Math.floor((seed / 2 ** 32) * below);
		};
		for (let i = 0; i < 200_000; i++) {
			const cut = Buffer.from(good.subarray(0, i % 4 === 0 ? random(good.length) : good.length));
			for (let n = random(5) + (cut.length === good.length ? 1 : 0); n > 0 && cut.length > 0; n--) {
				const at = random(cut.length);
				cut[at] = (cut[at] as number) ^ (1 + random(255));
			}
			const found = decode(cut, KEYS, NOW, 30_000);
			// Two changes of one byte may restore the original.
			if (typeof found !== "string") expect(cut.equals(good)).toBe(true);
		}
		expect(decode(Buffer.alloc(MOST_BYTES + 1), KEYS, NOW, 30_000)).toBe("long");
	});
});
