// read-aside.ts - a configuration read without holding the event loop: a large file in a thread of its own.
//
// Owns: when that is worth a thread, and that what has not changed remains the same object.
// Must never: hand out a configuration that differs from what readConfig() would.

import { once } from "node:events";
import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { ShuntError } from "../errors.js";
import { fingerprintOf, rememberFingerprint } from "./fingerprints.js";
import type { Backend, Config, Redirection, Rule, Service } from "./model.js";
import { ConfigError } from "./problems.js";
import { deepFreeze, readConfig } from "./read.js";
import type { ReadPart, ReadTask, Sent, SentService } from "./read-thread.js";

/** Bytes: a smaller file is read in 20 ms or less, and a thread takes longer to start. */
const LARGE = 32_768;

export interface ReadOptions {
	/** Services and backends that are equal to those of this one are these. */
	readonly before?: Config | undefined;
	/** Bytes from which a file is read in a thread. */
	readonly large?: number;
}

/** As readConfig(). */
export async function readConfigAside(file: string, { before, large = LARGE }: ReadOptions = {}): Promise<Config> {
	if (sizeOf(file) < large) return reusing(readConfig(file), before);
	const known = knownOf(before);
	const task: ReadTask = { file, known: new Set(known.keys()) };
	const thread = new Worker(new URL("./read-thread.js", import.meta.url), { workerData: task });
	try {
		return await assembled(thread, known);
	} finally {
		await thread.terminate();
	}
}

/** 0: readConfig() reports it. */
function sizeOf(file: string): number {
	return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

type Known = ReadonlyMap<string, Backend | Service>;

function knownOf(before: Config | undefined): Known {
	return new Map([...(before?.backends ?? []), ...(before?.services ?? [])].map((one) => [fingerprintOf(one), one]));
}

/** The configuration with those services and backends that are equal to `before`'s being these. */
export function reusing(config: Config, before: Config | undefined): Config {
	const known = knownOf(before);
	const same = <T extends Backend | Service>(one: T) => (known.get(fingerprintOf(one)) as T | undefined) ?? one;
	return deepFreeze({ ...config, backends: config.backends.map(same), services: config.services.map(same) });
}

async function assembled(thread: Worker, known: Known): Promise<Config> {
	let head: Extract<ReadPart, { kind: "head" }> | undefined;
	const services: Service[] = [];
	/** The last service, while its rules arrive. */
	let open: { readonly sent: SentService; readonly rules: Rule[] } | undefined;
	const close = () => {
		if (open !== undefined) services.push(serviceOf(open.sent, open.rules));
		open = undefined;
	};
	for (;;) {
		const part = await nextPart(thread);
		switch (part.kind) {
			case "problems":
				throw new ConfigError(part.problems);
			case "error":
				throw new ShuntError(part.code, part.fields);
			case "head":
				head = part;
				break;
			case "services":
				for (const sent of part.services) {
					close();
					if ("service" in sent) open = { sent: deepFreeze(sent), rules: [] };
					else services.push(known.get(sent.fingerprint) as Service);
				}
				break;
			case "rules":
				for (const [i, from] of part.from.entries())
					open!.rules.push(Object.freeze({ from, redirection: open!.sent.redirections[part.places[i]!]! }));
				break;
			case "end":
				close();
				return deepFreeze({
					...head!.config,
					backends: head!.backends.map((one) => backendOf(one, known)),
					services,
				});
		}
	}
}

/** Rejects if the thread fails. */
async function nextPart(thread: Worker): Promise<ReadPart> {
	const answer = once(thread, "message"); // rejects at "error"
	thread.postMessage("next");
	return (await answer)[0] as ReadPart;
}

function serviceOf({ service, redirections, fingerprint }: SentService, rules: readonly Rule[]): Service {
	// The order of fields is readConfig()'s: a fingerprint follows from it.
	const whole = deepFreeze({ ...service, redirection: redirections[0] as Redirection, rules });
	rememberFingerprint(whole, fingerprint);
	return whole;
}

function backendOf(sent: Sent<{ readonly backend: Backend; readonly fingerprint: string }>, known: Known): Backend {
	if (!("backend" in sent)) return known.get(sent.fingerprint) as Backend;
	rememberFingerprint(deepFreeze(sent.backend), sent.fingerprint);
	return sent.backend;
}
