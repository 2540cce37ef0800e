/**
 * Service addresses on this host: so that the kernel answers what is no service's port (a ping, a closed port), and that a
 * backend's services can answer from them.
 *
 * Owns: those it added itself, each as a /32 or /128; it takes them away at a clean end. One that a killed daemon left is
 * found in place and adopted.
 * Must never: remove an address that somebody else configured with another length or on another link.
 */
import { command, commandJson } from "./command.js";

interface IpAddress {
	addr_info?: { local?: string; prefixlen?: number }[];
}

export class Addresses {
	readonly #dev: string;
	#ours = new Set<string>();

	constructor(dev: string) {
		this.#dev = dev;
	}

	/** From now on exactly these. */
	async set(wanted: readonly string[]): Promise<void> {
		const there = await this.#there();
		for (const address of wanted) {
			if (!there.has(address))
				await command("ip", ["address", "replace", host(address), "dev", this.#dev, ...options(address)]);
			this.#ours.add(address);
		}
		for (const address of [...this.#ours]) if (!wanted.includes(address)) await this.#remove(address);
	}

	async close(): Promise<void> {
		for (const address of [...this.#ours]) await this.#remove(address).catch(() => {});
	}

	async #remove(address: string): Promise<void> {
		this.#ours.delete(address);
		await command("ip", ["address", "del", host(address), "dev", this.#dev]);
	}

	/** Whole addresses on this link. */
	async #there(): Promise<Set<string>> {
		const found = await commandJson<IpAddress[]>("ip", ["-json", "address", "show", "dev", this.#dev]);
		const all = found.flatMap((entry) => entry.addr_info ?? []);
		return new Set(
			all.flatMap(({ local, prefixlen }) => (local && (prefixlen === 32 || prefixlen === 128) ? [local] : [])),
		);
	}
}

function host(address: string): string {
	return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** Nobody else has it on this link, so nobody is asked (RFC 4862 5.4 has no meaning on lo and tun); and it must not become
 * the source of this host's own new connections. */
function options(address: string): string[] {
	return address.includes(":") ? ["nodad", "preferred_lft", "0"] : [];
}
