/**
 * Stations: the MAC addresses at the captured interfaces whose frames are for this host.
 *
 * Owns: reading them from the kernel, and the comparison every second that detects a change.
 * Must never: list some of an interface's addresses: frames to the others would be ignored.
 */
import { host } from "../engine/index.js";
import type { TableStation } from "../policy/index.js";

const CHECK_INTERVAL_MS = 1000;
/** SH_STATIONS of the packet program. */
const MAX_STATIONS = 32;

export class Stations {
	readonly #interfaces: readonly string[];
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(interfaces: readonly string[]) {
		this.#interfaces = interfaces;
	}

	/** Each interface's own address and the configured ones; empty: frames to any address are handled. `changed` replaces the
	 * callback of the previous call; it is called once, when the interfaces' addresses differ from these. */
	read(configured: readonly string[] | "any", changed: () => void): readonly TableStation[] {
		clearTimeout(this.#timer);
		if (configured === "any") return [];
		const own = this.#own();
		this.#watch(asText(own), changed);
		const also = configured.map((mac) => Buffer.from(mac, "hex"));
		const stations = own.flatMap(({ ifindex, mac }) => [mac, ...also].map((one) => ({ ifindex, mac: one })));
		return stations.length > MAX_STATIONS ? [] : stations;
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	#watch(before: string, changed: () => void): void {
		if (this.#closed) return;
		this.#timer = setTimeout(() => {
			if (asText(this.#own()) === before) this.#watch(before, changed);
			else changed(); // the publication that follows calls read() again
		}, CHECK_INTERVAL_MS);
		this.#timer.unref();
	}

	/** An interface that is gone or has no MAC address is left out. */
	#own(): TableStation[] {
		return this.#interfaces.flatMap((name) => {
			try {
				const { ifindex, mac } = host().link(name);
				return mac === null ? [] : [{ ifindex, mac }];
			} catch {
				return [];
			}
		});
	}
}

function asText(stations: readonly TableStation[]): string {
	return stations.map(({ ifindex, mac }) => `${ifindex} ${mac.toString("hex")}`).join();
}
