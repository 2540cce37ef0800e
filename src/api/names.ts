/**
 * Names for the numbers that tables and records have.
 *
 * Owns: the translation of ids and 16-byte addresses into an operator's words, and back.
 * Must never: outlive a question: tables change at a reload.
 */
import { parseAddress, type Service } from "../config/index.js";
import type { Target } from "../database/index.js";
import { ShuntError } from "../errors.js";
import type { Member } from "../member/member.js";

/** Names by id, as of now. */
export class Names {
	readonly services = new Map<number, Service>();
	readonly targets = new Map<number, Target>();

	constructor(readonly member: Member) {
		for (const service of member.snapshot.services) {
			const id = member.ids.services.get(service.key);
			if (id !== undefined) this.services.set(id, service);
		}
		for (const target of member.targets()) {
			const id = member.ids.targets.get(target.key);
			if (id !== undefined) this.targets.set(id, target);
		}
	}

	/** Every id of the services of this name: it stands for several families, protocols or addresses. */
	serviceIds(name: string): number[] {
		return idsOf(this.services, (one) => one.name, "service", name);
	}

	/** Every id of the targets that are this backend's. */
	targetIds(backend: string): number[] {
		return idsOf(this.targets, (one) => one.backend, "backend", backend);
	}
}

function idsOf<T>(known: Map<number, T>, nameOf: (one: T) => string, what: string, name: string): number[] {
	const ids = [...known].filter(([, one]) => nameOf(one) === name).map(([id]) => id);
	if (ids.length === 0) {
		const others = [...new Set([...known.values()].map(nameOf))].sort().join(", ");
		throw new ShuntError("SHUNT_USAGE", { what: `There is no ${what} named ${name}; there are ${others}.` });
	}
	return ids;
}

export { formatEndpoint as endpoint } from "../wire/index.js";

export function bytesOf(text: string): Buffer {
	const address = parseAddress(text);
	if (address === undefined) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text });
	return address.bytes;
}
