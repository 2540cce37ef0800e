/**
 * Drift: how a backend differs from this gateway in what both must have alike: keys, clock, configuration, version.
 *
 *   load reports, refused queries → here → status, events; and a backend with which no packet can pass is unusable
 *
 * A pure file: no I/O and no clock.
 *
 * Owns: what is compared, the sentences, and which drift makes a backend unusable: a clock beyond the window, and a
 * refusal of the key that this gateway signs with; the backend drops every packet then.
 * Must never: believe a word about an address that did not come in answer to a query of our own.
 */
import { type Config, identityOf } from "../config/index.js";
import { clockText, type LoadRefusal, type ReportedIdentity } from "../load/index.js";
import type { Drift } from "../member/drift.js";

interface Known {
	/** Its clock less this one's. */
	offsetMs?: number | undefined;
	identity?: ReportedIdentity | undefined;
	/** Why it refused the last query. */
	refusal?: LoadRefusal["why"] | undefined;
}

export class DriftMonitor {
	/** By backend. */
	#known = new Map<string, Known>();

	/** It answered a query. */
	answered(backend: string, offsetMs: number, identity: ReportedIdentity | undefined): void {
		this.#known.set(backend, { offsetMs, identity });
	}

	/** It refused one; `offsetMs` is known if its clock was the reason. */
	refused(backend: string, refusal: LoadRefusal["why"], offsetMs: number | undefined): void {
		const { identity } = this.#known.get(backend) ?? {};
		this.#known.set(backend, { offsetMs, identity, refusal });
	}

	/** In the configuration's order. `version`: this gateway's own. */
	of(config: Config, version: string): Drift[] {
		return config.backends.flatMap(({ name }) => this.ofBackend(name, config, version));
	}

	ofBackend(backend: string, config: Config, version: string): Drift[] {
		const known = this.#known.get(backend);
		return known === undefined ? [] : compare(backend, known, config, version);
	}
}

function compare(member: string, { offsetMs, identity, refusal }: Known, config: Config, version: string): Drift[] {
	const { cluster } = config;
	const found: Drift[] = [];
	const add = (what: Drift["what"], text: string, unusable = false) => found.push({ member, what, text, unusable });
	const beyond = refusal === "window";
	if (offsetMs !== undefined && (beyond || Math.abs(offsetMs) >= cluster.windowMs / 2))
		add("clock", `${member}'s ${clockText(offsetMs, cluster.windowMs)}`, beyond);
	if (refusal === "key")
		add("keys", `${member} does not have key ${cluster.signKey}, with which this gateway signs`, true);
	else if (refusal === "tag") add("keys", `${member}'s key ${cluster.signKey} is another one than here`, true);
	else if (identity !== undefined) {
		const text = keysText(member, identity.keys, identityOf(config).keys);
		if (text !== undefined) add("keys", text);
	}
	if (identity === undefined) return found;
	const own = identityOf(config).config;
	if (identity.version !== version) add("version", `${member} runs version ${identity.version}, here is ${version}`);
	// Versions may fill in other defaults: their digests are not comparable.
	else if (identity.config !== own)
		add("configuration", `${member} reads another configuration (digest ${identity.config}, here ${own})`);
	return found;
}

type Keys = ReportedIdentity["keys"];

function keysText(member: string, theirs: Keys, ours: Keys): string | undefined {
	const changed = theirs.filter(({ id, check }) => ours.some((one) => one.id === id && one.check !== check));
	if (changed.length > 0) return `${member}'s ${idsText(changed)} is another one than here`;
	const same = theirs.length === ours.length && theirs.every(({ id }) => ours.some((one) => one.id === id));
	if (same) return undefined;
	const only = theirs.every(({ id }) => ours.some((one) => one.id === id)) ? " only" : "";
	return `${member} has ${idsText(theirs)}${only}, this gateway has ${idsText(ours)}`;
}

/** "key 2", "keys 1, 2" */
function idsText(keys: Keys): string {
	return `${keys.length === 1 ? "key" : "keys"} ${keys.map(({ id }) => id).join(", ")}`;
}
