// digest.ts - by which two members find out whether they read the same configuration and hold the same keys, without
// showing either.
//
// Owns: what is in the digest: all that concerns both a gateway and a backend (services, backends' addresses and
// states, tunnel and ports), and nothing of one host alone. Comments, order of keys and defaults that are written out
// make no difference.
// Must never: give away a key. A check value is a one-way function of it.

import { createHash, createHmac } from "node:crypto";
import { fingerprintOf } from "./fingerprints.js";
import type { Config } from "./model.js";

/** What a member tells of its configuration. */
export interface ConfigIdentity {
	/** 16 hex digits. */
	readonly config: string;
	readonly keys: readonly KeyCheck[];
}

export interface KeyCheck {
	readonly id: number;
	/** 8 hex digits; equal for equal keys. */
	readonly check: string;
}

const known = new WeakMap<Config, ConfigIdentity>();

export function identityOf(config: Config): ConfigIdentity {
	const found = known.get(config);
	if (found !== undefined) return found;
	const identity = { config: digestOf(config), keys: config.cluster.keys.map(keyCheck) };
	known.set(config, identity);
	return identity;
}

function digestOf({ cluster, load, backends, services }: Config): string {
	const { seed, windowMs, tunnelPort, tunnelFrom, controlPort, maxHops } = cluster;
	const shared = {
		cluster: { seed, windowMs, tunnelPort, tunnelFrom, controlPort, maxHops },
		load: { port: load.port },
		backends: [...backends]
			.map(({ name, addresses, state }) => ({ name, addresses, state }))
			.sort((a, b) => (a.name < b.name ? -1 : 1)),
		services: [...services].sort((a, b) => (a.key < b.key ? -1 : 1)).map(fingerprintOf),
	};
	return createHash("sha256")
		.update("shunt configuration 1\0")
		.update(JSON.stringify(shared))
		.digest("hex")
		.slice(0, 16);
}

function keyCheck({ id, secret }: { id: number; secret: string }): KeyCheck {
	const mac = createHmac("sha256", Buffer.from(secret, "hex")).update("shunt key check 1").digest("hex");
	return { id, check: mac.slice(0, 8) };
}
