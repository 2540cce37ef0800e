// The carriers, as the packet program and src/wire read and write them, against the shared vectors: whole IP packets that
// test/vectors/carriers.py packed.

import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import {
	decodeControl,
	decodeFrame,
	decodeHeader,
	decodeReset,
	encodeControl,
	encodeGeneve,
	encodeReset,
	encodeSurplus,
	encodeTcpCapability,
	formatAddress,
	geneveRefusal,
	type HeaderResult,
	headerTag,
	type IpPacket,
	parseAddress,
	tagFlow,
} from "../../src/wire/index.js";
import { buildProgram, reasonNames } from "./native.js";
import { bytesOf } from "./vectors.js";

interface Service {
	address: string;
	port: number;
	protocol: number;
}
interface Vectors {
	key: string;
	nonce: string;
	signals: { name: string; packet: string; signal?: string; service?: Service; refusal?: string }[];
	tunnels: { name: string; packet: string; flow?: string; right?: boolean; refusal?: string }[];
	answers: { name: string; form: "control" | "return" | "reset"; query: string; payload: string; answer: string }[];
	orders: { secret: string; source: string; order: { address: string; port: number; rank: string }[] }[];
}
const vectors: Vectors = JSON.parse(
	readFileSync(new URL("../vectors/carriers.json", import.meta.url), "utf8"),
) as Vectors;
const KEY = bytesOf(vectors.key);
const CONTROL_PORT = 3575;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const address = (text: string) => parseAddress(text) as Uint8Array;
const ipOf = (packet: Uint8Array) => decodeFrame(packet, { link: "ip" }).ip as IpPacket;
/** What follows the UDP header, as far as UDP's length. */
const payloadOf = (ip: IpPacket, packet: Uint8Array) =>
	packet.subarray(ip.headerLength + 8, ip.headerLength + 8 + (ip.udp?.length ?? 0));
const surplusOf = (ip: IpPacket, packet: Uint8Array) =>
	packet.subarray(ip.headerLength + 8 + (ip.udp?.length ?? 0), ip.length);

describe("carriers, TypeScript", () => {
	test.each(vectors.signals)("R24: a signal as src/wire reads it: $name", (vector) => {
		const packet = bytesOf(vector.packet);
		const ip = ipOf(packet);
		const result: HeaderResult | undefined = ip.udp?.control?.header ?? ip.udp?.option ?? ip.tcp?.option;
		if (vector.refusal?.startsWith("header_") && result?.ok === false) expect(result.reason).toBe(vector.refusal);
		if (vector.signal === undefined) {
			// Of a control datagram it depends on where it was sent.
			if (ip.udp?.control === undefined && ip.tcp?.flags !== "S.") expect(result?.ok ?? false).toBe(false);
			return;
		}
		expect(result).toMatchObject({ ok: true, header: { type: vector.signal, nonce: BigInt(`0x${vectors.nonce}`) } });
		const { about } = ip.udp?.control ?? {};
		if (about !== undefined) expect(about).toEqual(vector.service);
	});

	test("R24: what src/wire encodes is what the vectors have", () => {
		const named = (name: string) => bytesOf(vectors.signals.find((one) => one.name === name)?.packet ?? "");
		for (const [name, odd, size] of [
			["surplus area: a capability, even length", false, 0],
			["surplus area: a capability, odd length", true, 0],
			["surplus area: 100 bytes of room, even length", false, 138],
			["surplus area: 100 bytes of room, odd length", true, 139],
			["surplus area: the area itself is odd, odd length", true, 141],
		] as const) {
			const packet = named(name);
			const ip = ipOf(packet);
			const header = surplusOf(ip, packet).subarray(odd ? 7 : 6, odd ? 39 : 38);
			expect(hex(encodeSurplus(header, odd, size)), name).toBe(hex(surplusOf(ip, packet)));
		}
		const query = named("control datagram: a capability, 88 bytes");
		const payload = payloadOf(ipOf(query), query);
		const about = { protocol: 17, port: 53, address: address("203.0.113.53") };
		expect(hex(encodeControl(payload.subarray(4, 36), about, undefined, 88))).toBe(hex(payload));
		const syn = named("SYN: the option alone");
		expect(hex(encodeTcpCapability(BigInt(`0x${vectors.nonce}`)))).toBe(hex(syn.subarray(40, 54)));
		const tunnel = bytesOf(vectors.tunnels[0]?.packet ?? "");
		expect(hex(encodeGeneve(tunnel.subarray(40, 72), 4))).toBe(hex(tunnel.subarray(28, 72)));
	});

	test.each(vectors.tunnels)(
		"R1: a packet of the tunnel as src/wire reads it: $name",
		({ packet: text, flow: block, right, refusal }) => {
			const packet = bytesOf(text);
			const outer = ipOf(packet);
			const geneve = payloadOf(outer, packet);
			expect(geneveRefusal(geneve)).toBe(refusal);
			if (block === undefined) return;
			const innerAt = 8 + ((geneve[0] as number) & 0x3f) * 4;
			const raw = geneve.subarray(innerAt);
			const flow = tagFlow(ipOf(raw), raw);
			expect(flow).toBeDefined();
			if (flow === undefined) return;
			const size = flow.family === 4 ? 4 : 16;
			const ends = Buffer.concat([flow.source.subarray(16 - size), flow.destination.subarray(16 - size)]);
			const rest = Buffer.alloc(8);
			rest.writeUInt16BE(flow.sourcePort, 0);
			rest.writeUInt16BE(flow.destinationPort, 2);
			rest[4] = flow.protocol;
			expect(hex(Buffer.concat([ends, rest]))).toBe(block);
			const result = decodeHeader(geneve.subarray(12, innerAt));
			if (!result.ok) expect.unreachable(result.reason);
			else expect(headerTag(result.header, flow, KEY) === result.header.tag).toBe(right);
		},
	);

	test.each(vectors.answers)("R14 R24: an answer as src/wire reads it: $name", ({ form, payload, answer }) => {
		const bytes = bytesOf(payload);
		const packet = bytesOf(answer);
		const ip = ipOf(packet);
		if (form === "reset") {
			const result = decodeReset(bytes);
			expect(result).toMatchObject({ ok: true, header: { type: "redirect" } });
			expect(ip.tcp).toMatchObject({ flags: "R.", acknowledgment: 0x01020305, control: { header: result } });
			expect(hex(encodeReset(bytes.subarray(4)))).toBe(payload);
			return;
		}
		const control = decodeControl(payloadOf(ip, packet));
		expect(control?.header).toMatchObject({ ok: true, header: { type: "redirect" } });
		expect(control?.packet === undefined).toBe(form === "control");
		// The returned packet is what the client sent, without its surplus area.
		if (control?.packet !== undefined) expect(ipOf(control.packet)).toMatchObject({ udp: { length: 3 }, length: 31 });
	});
});

describe.each([
	["g++ as C++20", ["g++", "-x", "c++", "-std=c++20"]],
	["clang-16 as C", ["clang-16"]],
] as const)("carriers, the packet program, built by %s", (_, compiler) => {
	const program = buildProgram(compiler, "carriers.c");
	afterAll(() => program.remove());
	const names = reasonNames();
	type Question = readonly [what: number, packet: Uint8Array, extra?: Uint8Array];
	const ask = (questions: readonly Question[]) =>
		program
			.run(
				questions.map(([what, packet, extra = new Uint8Array()]) => {
					const request = Buffer.alloc(6 + 600 + 128);
					request[0] = what;
					request.writeUInt16BE(packet.length, 2);
					request.writeUInt16BE(extra.length, 4);
					request.set(packet, 6);
					request.set(extra, 606);
					return request;
				}),
				688,
			)
			.map((out) => ({
				refusal: out[0] === 255 ? undefined : names[out[0] as number],
				type: out[1] as number,
				right: out[2] === 1,
				flow: hex(out.subarray(48, 48 + (out[3] as number))),
				answer: hex(out.subarray(88, 88 + out.readUInt16BE(4))),
				service: {
					address: formatAddress(out.subarray(32, 48)),
					port: out.readUInt16BE(6),
					protocol: out[8] as number,
				},
				nonce: hex(out.subarray(16, 24)),
				rank: hex(out.subarray(24, 32)),
			}));
	const TYPES = ["", "capability", "forward", "redirect", "failure", "probe"];

	test("R24: servers hear the signals of the vectors, and no others", () => {
		const heard = ask(vectors.signals.map(({ packet }) => [1, bytesOf(packet)]));
		for (const [i, { name, signal, service, refusal }] of vectors.signals.entries()) {
			const one = heard[i];
			expect(one?.refusal, name).toBe(refusal);
			expect(TYPES[one?.type ?? 0] || undefined, name).toBe(signal);
			if (service !== undefined) expect(one, name).toMatchObject({ service, nonce: vectors.nonce });
		}
	});

	test("R1: backends read the packets of the tunnel", () => {
		const read = ask(vectors.tunnels.map(({ packet }) => [2, bytesOf(packet), KEY]));
		for (const [i, { name, flow = "", right = false, refusal }] of vectors.tunnels.entries())
			expect(read[i], name).toMatchObject({ refusal, flow, right });
	});

	test("R14 R24: servers write the answers, byte for byte", () => {
		const FORMS = { control: 3, return: 4, reset: 5 };
		const written = ask(
			vectors.answers.map(({ form, query, payload }) => [FORMS[form], bytesOf(query), bytesOf(payload)]),
		);
		for (const [i, { name, answer }] of vectors.answers.entries()) expect(written[i]?.answer, name).toBe(answer);
	});

	test("R8: targets follow each other after failures in the order of the vectors", () => {
		for (const { secret, source, order } of vectors.orders) {
			const questions = order.map(({ address: target, port }) => {
				const extra = Buffer.alloc(42);
				extra.writeBigUInt64LE(BigInt(`0x${secret}`), 0);
				extra.set(address(source), 8);
				extra.set(address(target), 24);
				extra.writeUInt16BE(port, 40);
				return [6, new Uint8Array(), extra] as const;
			});
			const ranks = order.map(({ rank }) => rank);
			expect(ask(questions).map(({ rank }) => rank)).toEqual(ranks);
			expect(ranks).toEqual(ranks.toSorted().reverse());
		}
	});
});

test("R24: the control port of the vectors is the protocol's", () => {
	for (const { name, packet, refusal } of vectors.signals)
		if (refusal !== undefined) expect(ipOf(bytesOf(packet)).udp?.destinationPort, name).toBe(CONTROL_PORT);
});
