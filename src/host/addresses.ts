/**
 * Service addresses on this host: so that the kernel answers what is no service's port (a ping, a closed port), and that a
 * backend's services can answer from them.
 *
 * Owns: those it added itself, each as a /32 or /128, and takes away again; the journal knows them after a crash.
 * Must never: remove an address that somebody else has put there.
 */
import { command, commandJson } from "./command.js";
import type { Journal } from "./journal.js";

interface IpAddress {
	addr_info?: { local?: string; prefixlen?: number }[];
}

export class Addresses {
	readonly #dev: string;
	readonly #kind: string;

	constructor(
		dev: string,
		readonly journal: Journal,
	) {
		this.#dev = dev;
		this.#kind = `address ${dev} `;
	}

	/** From now on exactly these. */
	async set(wanted: readonly string[]): Promise<void> {
		const there = await this.#there();
		for (const address of wanted) {
			if (there.has(address)) continue;
			this.journal.note(this.#kind + address, "absent");
			await command("ip", ["address", "replace", host(address), "dev", this.#dev, ...options(address)]);
		}
		for (const { what } of this.journal.noted(this.#kind)) if (!wanted.includes(what)) await this.#remove(what);
	}

	async close(): Promise<void> {
		const noted = this.journal.noted(this.#kind);
		if (noted.length === 0) return;
		// Without the link, its addresses are gone too.
		const there = await this.#there().catch(() => new Set<string>());
		for (const { what } of noted) {
			if (there.has(what)) await this.#remove(what).catch(() => {});
			else this.journal.forget(this.#kind + what);
		}
	}

	async #remove(address: string): Promise<void> {
		await command("ip", ["address", "del", host(address), "dev", this.#dev]);
		this.journal.forget(this.#kind + address);
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
