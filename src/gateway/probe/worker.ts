/**
 * The process that probes ask from: a network namespace of its own, whose only way out is a tun device. There, a service
 * address is nothing special, while on the gateway itself it is local: a socket of the gateway's would ask the gateway.
 * Packets pass between the device and the gateway's daemon, which has them take the tunnel (tunnel.ts).
 *
 * Owns: the tun device and the namespace's addresses; both end with this process, and it ends with the daemon.
 * Must never: change anything outside its namespace.
 */
import { readSync, writeSync } from "node:fs";
import { host } from "../../engine/index.js";
import { command } from "../../host/command.js";
import { ask, type Question } from "./ask.js";

/** From the daemon. */
export type ToWorker =
	| { readonly kind: "setup"; readonly addresses: readonly string[] }
	| { readonly kind: "ask"; readonly id: number; readonly question: Question }
	| { readonly kind: "packet"; readonly bytes: Uint8Array };

/** To the daemon. */
export type FromWorker =
	| { readonly kind: "ready" }
	| { readonly kind: "failed"; readonly why: string }
	| { readonly kind: "result"; readonly id: number; readonly result: Awaited<ReturnType<typeof ask>> }
	| { readonly kind: "packet"; readonly bytes: Uint8Array };

const DEVICE = "probe0";
/** Fits any path that carries IPv6, in the tunnel as well. */
const MTU = 1280;
/** Between two looks for packets, while a probe is under way. */
const POLL_MS = 3;

let device: number | undefined;
let asking = 0;
let polling = false;
const packet = Buffer.alloc(65_536);

function tell(message: FromWorker): void {
	if (process.connected) process.send?.(message);
}

async function setup(addresses: readonly string[]): Promise<void> {
	device = host().openTun(DEVICE).fd;
	await command("ip", ["link", "set", "dev", "lo", "up"]);
	await command("ip", ["link", "set", "dev", DEVICE, "up", "mtu", String(MTU)]);
	for (const address of addresses) {
		const six = address.includes(":");
		const prefix = `${address}/${six ? 128 : 32}`;
		await command("ip", ["address", "add", prefix, "dev", DEVICE, ...(six ? ["nodad"] : [])]);
	}
	for (const family of new Set(addresses.map((address) => (address.includes(":") ? "-6" : "-4"))))
		await command("ip", [family, "route", "add", "default", "dev", DEVICE]);
}

/** Packets that the sockets have sent. */
function drain(): void {
	for (;;) {
		try {
			const length = readSync(device!, packet);
			tell({ kind: "packet", bytes: packet.subarray(0, length) });
		} catch {
			return; // EAGAIN: there is none
		}
	}
}

function poll(): void {
	drain();
	polling = asking > 0;
	if (polling) setTimeout(poll, POLL_MS);
}

async function answer({ id, question }: Extract<ToWorker, { kind: "ask" }>): Promise<void> {
	asking++;
	if (!polling) {
		polling = true;
		setTimeout(poll, 0);
	}
	const result = await ask(question);
	tell({ kind: "result", id, result });
	// What closes a connection is sent after the answer.
	setTimeout(() => asking--, 2 * POLL_MS);
}

process.on("message", (message: ToWorker) => {
	if (message.kind === "setup")
		setup(message.addresses).then(
			() => tell({ kind: "ready" }),
			(error) => tell({ kind: "failed", why: (error as Error).message }),
		);
	else if (message.kind === "ask") void answer(message);
	else if (device !== undefined) {
		try {
			writeSync(device, message.bytes);
			setTimeout(drain, 0);
		} catch {
			// A packet that the kernel refuses is lost, as one on the way would be.
		}
	}
});
process.on("disconnect", () => process.exit(0));
// The daemon's own signals are not this process's to obey: it ends when the daemon has.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
