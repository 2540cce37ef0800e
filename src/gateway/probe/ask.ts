/**
 * Asks a service once, as a client would, by the sockets of this process's network namespace.
 *
 * Owns: one socket for one probe, until its answer or its timeout.
 * Must never: judge an answer; health/probe.ts does. Or fail for a fault of this host's own: then the result is undefined.
 */
import { createSocket } from "node:dgram";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Probe } from "../../config/index.js";
import { answerFault, dnsFault, dnsQuestion, type ProbeResult, statusFault } from "../../health/index.js";

export interface Question {
	readonly probe: Probe;
	readonly protocol: "udp" | "tcp";
	readonly address: string;
	readonly port: number;
	/** Where it is sent from; undefined: as the host chooses. */
	readonly from?: { readonly address: string; readonly port: number } | undefined;
}

/** undefined: passed; else what is wrong. */
type Fault = string | undefined;
type Done = (fault: Fault) => void;

/** Faults that say something of the service; all others are this host's own. */
const REMOTE: Readonly<Record<string, string>> = {
	ECONNREFUSED: "connection refused",
	ECONNRESET: "connection reset",
	EPIPE: "connection reset",
	EHOSTUNREACH: "host unreachable",
	ENETUNREACH: "network unreachable",
	ETIMEDOUT: "no answer",
};

const MOST_BYTES = 65_536;

/** undefined: this host could not ask. */
export function ask(question: Question): Promise<ProbeResult | undefined> {
	const begun = performance.now();
	return new Promise((resolve) => {
		let close = () => {};
		let over = false;
		const end = (result: Omit<ProbeResult, "ms"> | undefined) => {
			if (over) return;
			over = true;
			clearTimeout(timer);
			close();
			resolve(result && { ...result, ms: performance.now() - begun });
		};
		const done: Done = (fault) => end({ passed: fault === undefined, detail: fault ?? "answered" });
		const failed = (error: NodeJS.ErrnoException) => {
			const text = REMOTE[error.code ?? ""] ?? (error.code?.startsWith("ERR_SSL") ? "TLS failed" : undefined);
			end(text === undefined ? undefined : { passed: false, detail: text });
		};
		const timer = setTimeout(() => done("no answer"), question.probe.timeoutMs);
		try {
			close = begin(question, done, failed);
		} catch (error) {
			failed(error as NodeJS.ErrnoException);
		}
	});
}

function begin(question: Question, done: Done, failed: (error: NodeJS.ErrnoException) => void): () => void {
	const { probe, protocol } = question;
	if (probe.type === "udp" || (probe.type === "dns" && protocol === "udp")) return askUdp(question, done, failed);
	if (probe.type === "http" || probe.type === "https") return askHttp(question, done, failed);
	return askTcp(question, done, failed);
}

function askUdp(question: Question, done: Done, failed: (error: NodeJS.ErrnoException) => void): () => void {
	const { probe, address, port, from } = question;
	const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
	const id = Math.floor(Math.random() * 65_536);
	const payload = probe.type === "dns" ? dnsQuestion(probe, id) : Buffer.from(probe.send ?? "", "hex");
	if (payload === undefined) throw new Error("not a domain name");
	socket.on("error", failed);
	socket.on("message", (answer) => done(probe.type === "dns" ? dnsFault(answer, id) : answerFault(probe, answer)));
	socket.bind({ port: from?.port ?? 0, ...(from === undefined ? {} : { address: from.address }) }, () =>
		socket.connect(port, address, () => socket.send(payload, (error) => error && failed(error))),
	);
	return () => socket.close();
}

function open({ address, port, from }: Question): Socket {
	const local = from === undefined ? {} : { localAddress: from.address, localPort: from.port };
	return connect({ host: address, port, ...local });
}

/** No TIME_WAIT on either side. */
function shut(socket: Socket): void {
	socket.on("error", () => {});
	socket.resetAndDestroy();
}

function askTcp(question: Question, done: Done, failed: (error: NodeJS.ErrnoException) => void): () => void {
	const { probe } = question;
	const socket = open(question);
	const id = Math.floor(Math.random() * 65_536);
	let answer = Buffer.alloc(0);
	socket.on("error", failed);
	socket.on("connect", () => {
		if (probe.type === "dns") {
			const payload = dnsQuestion(probe, id);
			if (payload === undefined) return failed(new Error("not a domain name"));
			const length = Buffer.alloc(2);
			length.writeUInt16BE(payload.length);
			socket.write(Buffer.concat([length, payload]));
		} else if (probe.send === null && probe.expect === null) done(undefined);
		else if (probe.send !== null) socket.write(Buffer.from(probe.send, "hex"));
	});
	socket.on("data", (part) => {
		answer = Buffer.concat([answer, part]);
		if (probe.type === "dns") {
			if (answer.length >= 14) done(dnsFault(answer.subarray(2), id));
			return;
		}
		const fault = answerFault(probe, answer);
		if (fault === undefined || answer.length > MOST_BYTES) done(fault);
	});
	socket.on("end", () => done(answer.length === 0 ? "connection closed" : "another answer"));
	return () => shut(socket);
}

function askHttp(question: Question, done: Done, failed: (error: NodeJS.ErrnoException) => void): () => void {
	const { probe, address } = question;
	const plain = open(question);
	const host = probe.host ?? (address.includes(":") ? `[${address}]` : address);
	// A certificate is for the clients' name and their list of authorities; a probe asks whether the service answers.
	const socket =
		probe.type === "http"
			? plain
			: connectTls({
					socket: plain,
					rejectUnauthorized: false,
					...(probe.host === null ? {} : { servername: probe.host }),
				});
	plain.on("error", failed);
	socket.on("error", failed);
	const headers = { host, connection: "close", "user-agent": "shunt-probe" };
	const call = request({ createConnection: () => socket, path: probe.path, headers }, (answer) => {
		done(statusFault(probe, answer.statusCode ?? 0));
		answer.destroy();
	});
	call.on("error", failed);
	call.end();
	return () => {
		call.on("error", () => {});
		call.destroy();
		shut(plain);
	};
}
