/**
 * Service addresses on one of this host's interfaces: they let the kernel answer for ports that are no service's (ping,
 * a closed port), and a backend's services answer from them.
 *
 * Owns: the addresses that it added, each as a /32 or /128, a prefix of them as a local route; the undo log has them after a crash.
 * Must never: remove an address that was there before.
 */
import { parseServiceAddress } from "../config/index.js";
import { host } from "../engine/index.js";
import { formatAddress } from "../wire/index.js";
import { command } from "./command.js";
import { interfaceAddresses } from "./interfaces.js";
import type { UndoLog } from "./undo-log.js";

export class ServiceAddresses {
	readonly #interface: string;
	readonly #undoLog: UndoLog;
	/** Of this interface's keys in the undo log. */
	readonly #prefix: string;
	/** Under way: what is missing then is not missing. */
	#changes = 0;

	constructor(interfaceName: string, undoLog: UndoLog) {
		this.#interface = interfaceName;
		this.#undoLog = undoLog;
		this.#prefix = `address ${interfaceName} `;
	}

	/** Makes the interface carry exactly these service addresses. Throws SHUNT_COMMAND_FAILED. */
	async set(addresses: readonly string[]): Promise<void> {
		this.#changes++; // the log is ahead of the interface meanwhile
		try {
			await this.#replace(addresses);
		} finally {
			this.#changes--;
		}
	}

	async #replace(addresses: readonly string[]): Promise<void> {
		const present = await this.#present();
		for (const some of chunks(addresses.filter((address) => !present.has(address)))) {
			this.#undoLog.recordAll(this.#keys(some), "absent");
			await this.#batch(some, (address) => this.#line("replace", address));
		}
		const wanted = new Set(addresses);
		const added = this.#undoLog.entries(this.#prefix).map(({ object }) => object);
		await this.#remove(added.filter((address) => !wanted.has(address)));
	}

	/** The same as restore(), told in a sentence. */
	async watch(warn: (problem: string) => void): Promise<void> {
		const missing = await this.restore();
		if (missing.length > 0) warn(`${missing.join(", ")} was removed from ${this.#interface}; it is there again`);
	}

	/** Puts back those added addresses that something else has removed, and returns them. Starts no process unless there is
	 * one. Throws SHUNT_COMMAND_FAILED. */
	async restore(): Promise<string[]> {
		const added = this.#undoLog.entries(this.#prefix).map(({ object }) => object);
		const missing = this.#missing(added);
		for (const some of chunks(missing)) await this.#batch(some, (address) => this.#line("replace", address));
		return missing;
	}

	/** None while the interface is gone. */
	#missing(added: readonly string[]): string[] {
		if (added.length === 0 || this.#changes > 0) return [];
		try {
			const here = new Set(
				host()
					.link(this.#interface)
					.addresses.map(({ address }) => formatAddress(address)),
			);
			return added.filter((address) => (isPrefix(address) ? !isLocal(address) : !here.has(address)));
		} catch {
			return [];
		}
	}

	/** Removes every address that was added. Does not throw. */
	async close(): Promise<void> {
		this.#changes++; // for good
		const added = this.#undoLog.entries(this.#prefix);
		if (added.length === 0) return;
		// An interface that has gone has taken its addresses along.
		const present = await this.#present().catch(() => new Set<string>());
		const addresses = added.map(({ object }) => object);
		const stays = (address: string) => present.has(address) || isPrefix(address);
		this.#undoLog.removeAll(this.#keys(addresses.filter((address) => !stays(address))));
		const left = addresses.filter(stays);
		// One that cannot be removed is no reason to leave the others.
		await this.#remove(left).catch(async () => {
			for (const address of left) await this.#remove([address]).catch(() => {});
		});
	}

	async #remove(addresses: readonly string[]): Promise<void> {
		for (const some of chunks(addresses)) {
			await this.#batch(some, (address) => this.#line("del", address));
			this.#undoLog.removeAll(this.#keys(some));
		}
	}

	#keys(addresses: readonly string[]): string[] {
		return addresses.map((address) => this.#prefix + address);
	}

	#line(verb: "replace" | "del", address: string): string[] {
		if (isPrefix(address)) return ["route", verb, ...routeTo(address)];
		const options = verb === "replace" ? optionsFor(address) : [];
		return ["address", verb, asPrefix(address), "dev", this.#interface, ...options];
	}

	/** One run of ip for many addresses: a gateway may have thousands. It ends at the first that fails. */
	async #batch(addresses: readonly string[], argumentsFor: (address: string) => readonly string[]): Promise<void> {
		const [first] = addresses;
		if (first === undefined) return;
		if (addresses.length === 1) await command("ip", argumentsFor(first));
		else {
			const lines = addresses.map((address) => `${argumentsFor(address).join(" ")}\n`);
			await command("ip", ["-batch", "-"], lines.join(""));
		}
	}

	/** Host addresses (/32, /128) on this interface. */
	async #present(): Promise<Set<string>> {
		const all = await interfaceAddresses(this.#interface);
		return new Set(
			all.flatMap(({ address, prefixLength }) => (prefixLength === 32 || prefixLength === 128 ? [address] : [])),
		);
	}
}

/** <linux/rtnetlink.h> */
const RTN_LOCAL = 2;

function isLocal(prefix: string): boolean {
	try {
		return host().route(Buffer.from(parseServiceAddress(prefix)!.bytes)).kind === RTN_LOCAL;
	} catch {
		return false;
	}
}

function isPrefix(address: string): boolean {
	return address.includes("/");
}

/** A local route makes every address of the prefix this host's own ("AnyIP"), without one of them on an interface. */
function routeTo(prefix: string): string[] {
	return ["local", prefix, "dev", "lo"];
}

/** Addresses in one run of ip, and in one record of the undo log. */
const CHUNK = 200;

function chunks(addresses: readonly string[]): (readonly string[])[] {
	const all: (readonly string[])[] = [];
	for (let at = 0; at < addresses.length; at += CHUNK) all.push(addresses.slice(at, at + CHUNK));
	return all;
}

function asPrefix(address: string): string {
	return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** nodad: duplicate address detection has no meaning on lo and tun (RFC 4862 5.4). preferred_lft 0: the address must
 * not become the source of this host's own connections. */
function optionsFor(address: string): string[] {
	return address.includes(":") ? ["nodad", "preferred_lft", "0"] : [];
}
