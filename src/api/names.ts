/**
 * Names for the ids in tables and session records.
 *
 * Owns: the translation of ids and 16-byte addresses into names and text, and back.
 * Must never: be kept after one answer: ids change at a reload.
 */
import { parseAddress, type Service } from "../config/index.js";
import type { Target } from "../database/index.js";
import { ShuntError } from "../errors.js";
import type { TargetHealth } from "../health/index.js";
import type { Member } from "../member/member.js";
import { formatEndpoint } from "../wire/index.js";
import type { TargetStatus } from "./types.js";

/** Services and targets by id, in the tables in force now. */
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

	/** As this host observes it; undefined: it observes none, or there is no such target. */
	healthOf(target: number): TargetHealth | undefined {
		const found = this.targets.get(target);
		return found === undefined ? undefined : this.member.role.backends?.ofTarget(found);
	}

	/** The ids of all services of this name, one for each address and protocol. Throws SHUNT_USAGE if there is none. */
	serviceIds(name: string): number[] {
		return idsOf(this.services, (one) => one.name, "service", name);
	}

	/** The ids of all targets of this backend. Throws SHUNT_USAGE if there is none. */
	targetIds(backend: string): number[] {
		return idsOf(this.targets, (one) => one.backend, "backend", backend);
	}
}

function idsOf<T>(known: Map<number, T>, nameOf: (one: T) => string, what: string, name: string): number[] {
	const ids = [...known].filter(([, one]) => nameOf(one) === name).map(([id]) => id);
	if (ids.length === 0) {
		const others = [...new Set([...known.values()].map(nameOf))].sort().join(", ");
		throw new ShuntError("SHUNT_USAGE", {
			what: `There is no ${what} named ${name}; the configuration has ${others}.`,
		});
	}
	return ids;
}

/** A target's state in force, without the panic of a redirection, and its health. */
export function stateOf(
	{ role }: Member,
	target: Target,
): Pick<TargetStatus, "state" | "health" | "healthReason" | "healthForMs"> {
	const { address, state } = target;
	const known = role.backends?.ofTarget(target) ?? NOT_OBSERVED;
	const { health, drains, reason, since } = known;
	const healthForMs = Number.isFinite(since) ? performance.now() - since : null;
	const seen = { health, healthReason: reason, healthForMs };
	if (state === "inactive" || role.backends?.isDown(address) || (health === "unhealthy" && !drains))
		return { state: "inactive", ...seen };
	return { state: health === "unhealthy" ? "draining" : state, ...seen };
}

const NOT_OBSERVED: TargetHealth = { health: "unknown", since: Number.NEGATIVE_INFINITY, reason: "not observed here" };

/** Of a target without a port of its own: the client's. */
export function endpoint(address: string, port: number): string {
	return formatEndpoint(address, port === 0 ? "any" : port);
}

/** 16 bytes. Throws SHUNT_ADDRESS_INVALID. */
export function bytesOf(text: string): Buffer {
	const address = parseAddress(text);
	if (address === undefined) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text });
	return address.bytes;
}
