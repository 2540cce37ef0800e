/**
 * Ways: from this host to each target: source address, next hop, link.
 *
 * Owns: asking until the next hops have answered, and looking again each second.
 * Must never: hold up a publication for a target that does not answer: its packets are dropped under a name until then.
 */
import type { HostFacts } from "../database/index.js";
import { keepAsking, link, neighbour, type Route, route, stopAsking } from "./network.js";

const PATIENCE_MS = 2000;
const ASK_AGAIN_MS = 50;
const LOOK_MS = 1000;

export class Ways {
	#facts = new Map<string, HostFacts>();
	/** Neighbours that the kernel keeps asking for, by dev and address. */
	#asked = new Map<string, { dev: string; address: string }>();
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	/** The ways to these addresses; those that are new are waited for, within patience. `changed` replaces the last one. */
	async to(addresses: readonly string[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>> {
		const fresh = addresses.some((address) => this.#facts.get(address) === undefined);
		const end = Date.now() + (fresh ? PATIENCE_MS : 0);
		let facts = await this.#look(addresses);
		while (Date.now() < end && [...facts.values()].some((one) => one.nextHop === null)) {
			await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
			facts = await this.#look(addresses);
		}
		this.#facts = facts;
		this.#watch(addresses, changed);
		return facts;
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#timer);
		for (const { dev, address } of this.#asked.values()) await stopAsking(dev, address);
	}

	#watch(addresses: readonly string[], changed: () => void): void {
		clearTimeout(this.#timer);
		if (this.#closed) return;
		this.#timer = setTimeout(async () => {
			const facts = await this.#look(addresses).catch(() => this.#facts);
			if (this.#closed) return;
			if (same(facts, this.#facts)) this.#watch(addresses, changed);
			else changed(); // which asks again, by to()
		}, LOOK_MS);
		this.#timer.unref();
	}

	async #look(addresses: readonly string[]): Promise<Map<string, HostFacts>> {
		const facts = new Map<string, HostFacts>();
		const routes = await Promise.all(addresses.map((address) => route(address)));
		for (const [i, address] of addresses.entries()) {
			const way = routes[i];
			if (way !== undefined) facts.set(address, await this.#fact(way, this.#facts.get(address)));
		}
		return facts;
	}

	async #fact(way: Route, before: HostFacts | undefined): Promise<HostFacts> {
		const key = `${way.dev} ${way.nextHop}`;
		if (!this.#asked.has(key)) {
			this.#asked.set(key, { dev: way.dev, address: way.nextHop });
			await keepAsking(way.dev, way.nextHop).catch(() => {});
		}
		const [over, mac] = await Promise.all([link(way.dev), neighbour(way.dev, way.nextHop)]);
		// An entry that the kernel is just asking anew, or has let go, does not take the way from packets: what stood there
		// last is right until somebody says otherwise.
		const nextHop = mac ?? (before?.ifindex === over.ifindex ? before.nextHop : null);
		return { source: way.source, nextHop, ownMac: over.mac, ifindex: over.ifindex, mtu: over.mtu };
	}
}

function same(a: ReadonlyMap<string, HostFacts>, b: ReadonlyMap<string, HostFacts>): boolean {
	const text = (facts: ReadonlyMap<string, HostFacts>) =>
		JSON.stringify([...facts].map(([address, one]) => [address, ...Object.values(one).map(String)]));
	return text(a) === text(b);
}
