// read-thread.ts - a configuration read in a thread of its own, and handed over in parts.
//
// A part is small enough to be received between two turns of the event loop, and the next one is sent when it is asked
// for: parts that wait would be received in one turn.
//
// Owns: the form of the parts. read-aside.ts puts them together.
// Must never: send a record that the other side has already.

import { parentPort, workerData } from "node:worker_threads";
import { type ErrorCode, type ErrorFields, ShuntError } from "../errors.js";
import { fingerprintOf } from "./fingerprints.js";
import type { Backend, Config, Redirection, Service } from "./model.js";
import { ConfigError, type Problem } from "./problems.js";
import { readUnfrozen } from "./read.js";
import { redirectionsOf } from "./redirections.js";

/** What the thread is given. */
export interface ReadTask {
	readonly file: string;
	/** Fingerprints of records that are known. */
	readonly known: ReadonlySet<string>;
}

/** A service without its rules, which follow, and whose redirections are each sent once. */
export interface SentService {
	readonly service: Omit<Service, "rules" | "redirection">;
	/** Its own first. */
	readonly redirections: readonly Redirection[];
	readonly fingerprint: string;
}

/** A record by its fingerprint alone: the receiver has it. */
export type Sent<T> = T | { readonly fingerprint: string };

export type ReadPart =
	| { readonly kind: "problems"; readonly problems: readonly Problem[] }
	| { readonly kind: "error"; readonly code: ErrorCode; readonly fields: ErrorFields }
	| {
			readonly kind: "head";
			readonly config: Omit<Config, "backends" | "services">;
			readonly backends: readonly Sent<{ readonly backend: Backend; readonly fingerprint: string }>[];
	  }
	| { readonly kind: "services"; readonly services: readonly Sent<SentService>[] }
	/** Of the last service of the parts before. `places`: of each rule's redirection. */
	| { readonly kind: "rules"; readonly from: readonly string[]; readonly places: Uint32Array }
	| { readonly kind: "end" };

/** Choices, or rules, in one part: a few milliseconds to receive. */
const PART = 2000;

function* partsOf(task: ReadTask): Generator<ReadPart> {
	let config: Config;
	try {
		config = readUnfrozen(task.file);
	} catch (error) {
		if (error instanceof ConfigError) yield { kind: "problems", problems: error.problems };
		else if (error instanceof ShuntError) yield { kind: "error", code: error.code, fields: error.fields };
		else throw error;
		return;
	}
	const { backends, services, ...rest } = config;
	yield {
		kind: "head",
		config: rest,
		backends: backends.map((backend) => {
			const fingerprint = fingerprintOf(backend);
			return task.known.has(fingerprint) ? { fingerprint } : { backend, fingerprint };
		}),
	};
	yield* servicesOf(services, task.known);
	yield { kind: "end" };
}

function* servicesOf(services: readonly Service[], known: ReadonlySet<string>): Generator<ReadPart> {
	let part: Sent<SentService>[] = [];
	let size = 0;
	for (const whole of services) {
		const fingerprint = fingerprintOf(whole);
		size++;
		if (known.has(fingerprint)) part.push({ fingerprint });
		else {
			const { rules, redirection: _own, ...service } = whole;
			const redirections = redirectionsOf(whole);
			const places = new Map(redirections.map((one, place) => [one, place]));
			part.push({ service, redirections, fingerprint });
			size += redirections.reduce((sum, { choices }) => sum + choices.length, 0);
			if (rules.length > 0) {
				yield { kind: "services", services: part };
				[part, size] = [[], 0];
				for (let at = 0; at < rules.length; at += PART) {
					const some = rules.slice(at, at + PART);
					const of = Uint32Array.from(some, (rule) => places.get(rule.redirection)!);
					yield { kind: "rules", from: some.map(({ from }) => from), places: of };
				}
			}
		}
		if (size < PART) continue;
		yield { kind: "services", services: part };
		[part, size] = [[], 0];
	}
	if (part.length > 0) yield { kind: "services", services: part };
}

if (parentPort !== null) {
	const port = parentPort;
	const parts = partsOf(workerData as ReadTask);
	port.on("message", () => {
		const next = parts.next();
		if (next.done) port.close();
		else port.postMessage(next.value);
	});
}
