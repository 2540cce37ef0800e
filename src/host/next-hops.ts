/**
 * Ways: from this host to each target: source address, next hop, link.
 *
 * Owns: asking until the next hops have answered, and looking again each second.
 * Must never: hold up a publication for a target that does not answer: its packets are dropped under a name until then.
 */
import { parseAddress } from "../config/index.js";
import type { HostFacts } from "../database/index.js";
import { formatAddress } from "../wire/index.js";
import { neighbour, wayTo } from "./network.js";

const PATIENCE_MS = 2000;
const ASK_AGAIN_MS = 20;
const LOOK_MS = 1000;

export class Ways {
	#facts: ReadonlyMap<string, HostFacts> = new Map();
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	/** The ways to these addresses; those that are new are waited for, within patience. `changed` replaces the last one. */
	async to(addresses: readonly string[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>> {
		const patience = addresses.some((address) => !this.#facts.has(address)) ? PATIENCE_MS : 0;
		const end = Date.now() + patience;
		let facts = this.#look(addresses);
		while (Date.now() < end && [...facts.values()].some((one) => one.nextHop === null)) {
			await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
			facts = this.#look(addresses);
		}
		this.#facts = facts;
		this.#watch(addresses, changed);
		return facts;
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
	}

	#watch(addresses: readonly string[], changed: () => void): void {
		clearTimeout(this.#timer);
		if (this.#closed) return;
		this.#timer = setTimeout(() => {
			if (text(this.#look(addresses)) === text(this.#facts)) this.#watch(addresses, changed);
			else changed(); // which asks again, by to()
		}, LOOK_MS);
		this.#timer.unref();
	}

	#look(addresses: readonly string[]): Map<string, HostFacts> {
		const facts = new Map<string, HostFacts>();
		for (const address of addresses) {
			const way = wayTo(parseAddress(address)!.bytes);
			if (way === undefined) continue;
			const before = this.#facts.get(address);
			// An entry that the kernel is just asking anew does not take the way from packets: what stood there last is right
			// until somebody says otherwise.
			const nextHop = neighbour(way) ?? (before?.ifindex === way.ifindex ? before.nextHop : null);
			const { ifindex, mtu, ownMac } = way;
			facts.set(address, { source: formatAddress(way.source), nextHop, ownMac, ifindex, mtu });
		}
		return facts;
	}
}

function text(facts: ReadonlyMap<string, HostFacts>): string {
	return JSON.stringify([...facts]);
}
