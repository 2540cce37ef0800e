// loopback.ts - for each test of the library's sockets: a gateway and backends on loopback, and sockets that are
// closed.

import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach } from "vitest";
import { Dialer, RedirectionCache, type RedirectionOptions } from "../../src/client/index.js";
import { Peer, SERVICE, TARGETS } from "./peer.js";

/** A new one for each test. */
export let peer: Peer;
/** Closed after each test. */
export const sockets: { close(): unknown }[] = [];
beforeEach(async () => {
	peer = await Peer.start();
});
afterEach(() => {
	for (const socket of sockets.splice(0)) socket.close();
	peer.close();
});

/** Both ends share one process, which a loaded host may stop for longer than a probe's timeout. */
export const PATIENT: RedirectionOptions = {
	patience: 10_000,
	questions: [5000, 5000],
	probes: [5000, 5000],
	silence: 10_000,
};

export const redirection = (more: RedirectionOptions = {}): RedirectionOptions => ({
	controlPort: peer.controlPort,
	targets: TARGETS,
	cache: new RedirectionCache(),
	...more,
});

export async function until(what: string, good: () => boolean | Promise<boolean>): Promise<void> {
	const end = Date.now() + 5000;
	while (!(await good())) {
		if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
		await delay(5);
	}
}

/** A dialer whose first connection goes to the gateway that the peer is, without waiting for its answer. */
export function dialerTo(peer: Peer): Dialer {
	return new Dialer({
		services: [SERVICE],
		targets: TARGETS,
		controlPort: peer.controlPort,
		cache: new RedirectionCache(),
		...PATIENT,
		patience: 0,
	});
}
