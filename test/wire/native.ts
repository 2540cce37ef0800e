// C programs around parts of the packet program, built with sanitizers into folders of their own and driven through
// pipes; and the codec among them (codec.c says how).

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Flow, HEADER_TYPES, type Header, type HeaderReason } from "../../src/wire/index.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const ANSWER = 136;

export interface Request {
	bytes: Uint8Array;
	key: Uint8Array;
	flow?: Flow;
	/** Hash the bytes only. */
	hash?: boolean;
}

export interface Answer {
	reason: HeaderReason | undefined;
	header: Header | undefined;
	encoded: string;
	rightTag: bigint;
}

/** Numbers of the reasons, as the compiler assigns them. */
export function reasonNames(): string[] {
	const table = readFileSync(join(root, "native/datapath/reasons.h"), "utf8");
	return [...table.matchAll(/^\tX\((\w+),/gm)].map((match) => match[1] as string);
}

/** A program of test/wire. `run` gives it requests, and returns its answers, each of so many bytes. */
export interface PipedProgram {
	run(requests: readonly Uint8Array[], answerBytes: number): Buffer[];
	remove(): void;
}

export function buildProgram(compiler: readonly string[], source: string): PipedProgram {
	const folder = mkdtempSync(join(tmpdir(), "shunt-wire-"));
	const program = join(folder, "program");
	const flags = [
		"-O1",
		"-g",
		"-Wall",
		"-Wextra",
		"-Werror",
		"-Wno-missing-field-initializers",
		"-fsanitize=address,undefined",
		"-fno-sanitize-recover=all",
	];
	const folders = ["-iquote", join(root, "native"), "-I", join(root, "native/user/platform")];
	const [command, ...words] = compiler;
	const args = [...words, ...flags, ...folders, join(root, "test/wire", source), "-o", program];
	const built = spawnSync(command as string, args, { encoding: "utf8" });
	if (built.status !== 0) {
		rmSync(folder, { recursive: true, force: true });
		throw new Error(`${command} failed: ${built.stderr}`);
	}
	return {
		run(requests, answerBytes) {
			const maxBuffer = answerBytes * requests.length + 4096;
			const done = spawnSync(program, { input: Buffer.concat(requests), maxBuffer });
			if (done.status !== 0) throw new Error(`${source} died: ${done.stderr}`);
			return requests.map((_, i) => done.stdout.subarray(i * answerBytes, (i + 1) * answerBytes));
		},
		remove: () => rmSync(folder, { recursive: true, force: true }),
	};
}

export function buildCodec(compiler: readonly string[]): { run(requests: Request[]): Answer[]; remove(): void } {
	const program = buildProgram(compiler, "codec.c");
	const names = reasonNames();
	return {
		run: (requests) => program.run(requests.map(encodeRequest), ANSWER).map((bytes) => decodeAnswer(bytes, names)),
		remove: program.remove,
	};
}

function encodeRequest(request: Request): Buffer {
	const out = Buffer.alloc(160);
	out[0] = request.hash ? 1 : 0;
	out[1] = request.bytes.length;
	out.set(request.bytes, 2);
	out.set(request.key, 106);
	if (request.flow !== undefined) {
		out.set(request.flow.source, 122);
		out.set(request.flow.destination, 138);
		out.writeUInt16BE(request.flow.sourcePort, 154);
		out.writeUInt16BE(request.flow.destinationPort, 156);
		out[158] = request.flow.protocol;
		out[159] = request.flow.family;
	}
	return out;
}

function decodeAnswer(bytes: Buffer, names: string[]): Answer {
	const reason = bytes[0] === 0 ? undefined : (names[bytes[0] as number] as HeaderReason);
	const rightTag = bytes.readBigUInt64LE(32);
	const type = HEADER_TYPES[bytes[1] as number];
	if (reason !== undefined || type === undefined) return { reason, header: undefined, encoded: "", rightTag };
	const flags = bytes[2] as number;
	const port = bytes.readUInt16BE(8);
	const header: Header = {
		type,
		flags,
		port: bytes.readUInt16BE(6),
		lease: bytes.readUInt16BE(10),
		hops: bytes[3] as number,
		keyId: bytes[4] as number,
		issued: bytes.readUInt32BE(12),
		nonce: bytes.readBigUInt64BE(16),
		address: Uint8Array.from(bytes.subarray(40, 56)),
		...(flags & 1 ? { alternative: { address: Uint8Array.from(bytes.subarray(56, 72)), port } } : {}),
		tag: bytes.readBigUInt64LE(24),
	};
	return { reason, header, encoded: bytes.subarray(72, 72 + (bytes[5] as number)).toString("hex"), rightTag };
}
