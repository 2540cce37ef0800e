/**
 * Service addresses on one of this host's interfaces: they let the kernel answer for ports that are no service's (ping,
 * a closed port), and a backend's services answer from them.
 *
 * Owns: the addresses that it added, each as a /32 or /128, a prefix of them as a local route; the undo log has them after a crash.
 * Must never: remove an address that was there before.
 */
import { command } from "./command.js";
import { interfaceAddresses } from "./interfaces.js";
import type { UndoLog } from "./undo-log.js";

export class ServiceAddresses {
	readonly #interface: string;
	readonly #undoLog: UndoLog;
	/** Of this interface's keys in the undo log. */
	readonly #prefix: string;

	constructor(interfaceName: string, undoLog: UndoLog) {
		this.#interface = interfaceName;
		this.#undoLog = undoLog;
		this.#prefix = `address ${interfaceName} `;
	}

	/** Makes the interface carry exactly these service addresses. Throws SHUNT_COMMAND_FAILED. */
	async set(addresses: readonly string[]): Promise<void> {
		const present = await this.#present();
		for (const address of addresses) {
			if (present.has(address)) continue;
			this.#undoLog.record(this.#prefix + address, "absent");
			if (isPrefix(address)) await command("ip", ["route", "replace", ...routeTo(address)]);
			else
				await command("ip", ["address", "replace", asPrefix(address), "dev", this.#interface, ...optionsFor(address)]);
		}
		for (const { object } of this.#undoLog.entries(this.#prefix))
			if (!addresses.includes(object)) await this.#remove(object);
	}

	/** Removes every address that was added. Does not throw. */
	async close(): Promise<void> {
		const added = this.#undoLog.entries(this.#prefix);
		if (added.length === 0) return;
		// An interface that has gone has taken its addresses along.
		const present = await this.#present().catch(() => new Set<string>());
		for (const { object } of added) {
			if (present.has(object) || isPrefix(object)) await this.#remove(object).catch(() => {});
			else this.#undoLog.remove(this.#prefix + object);
		}
	}

	async #remove(address: string): Promise<void> {
		if (isPrefix(address)) await command("ip", ["route", "del", ...routeTo(address)]);
		else await command("ip", ["address", "del", asPrefix(address), "dev", this.#interface]);
		this.#undoLog.remove(this.#prefix + address);
	}

	/** Host addresses (/32, /128) on this interface. */
	async #present(): Promise<Set<string>> {
		const all = await interfaceAddresses(this.#interface);
		return new Set(
			all.flatMap(({ address, prefixLength }) => (prefixLength === 32 || prefixLength === 128 ? [address] : [])),
		);
	}
}

function isPrefix(address: string): boolean {
	return address.includes("/");
}

/** A local route makes every address of the prefix this host's own ("AnyIP"), without one of them on an interface. */
function routeTo(prefix: string): string[] {
	return ["local", prefix, "dev", "lo"];
}

function asPrefix(address: string): string {
	return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** nodad: duplicate address detection has no meaning on lo and tun (RFC 4862 5.4). preferred_lft 0: the address must
 * not become the source of this host's own connections. */
function optionsFor(address: string): string[] {
	return address.includes(":") ? ["nodad", "preferred_lft", "0"] : [];
}
