// target-sets.ts - which services share their targets.
//
// A session names a target by 16 bits. Where every service has targets of its own, each with counters of its own, 2,000
// services of 50 backends would need 100,000. Above SHARE_ABOVE targets, services that differ in name, address, port and
// sources of rules alone have one set of targets. A service keeps its set over reloads, so that its sessions stay:
// where the services of a set come to differ, most of them keep the set and the others change to another.
//
// Owns: the sets' names and members; they live as long as the session table.
// Must never: give one set to services whose targets differ in any field.

import { createHash } from "node:crypto";
import { redirectionsOf, type Service } from "../config/index.js";

/** Targets, each service's counted by itself, up to which no service shares any. The kernel's engine has counters of its own
 * for as many. */
export const SHARE_ABOVE = 4096;

/** A set of targets, as a service sees it. */
export interface TargetSet {
	/** Begins the keys of its targets. A set of one service that shares nothing has the service's key as its name. */
	readonly name: string;
	/** Of its services: the one whose redirections the targets are computed from. */
	readonly first: Service;
}

/** By service key. A service without an entry has its own. */
export type TargetSets = ReadonlyMap<string, TargetSet>;

export class TargetSetNames {
	/** By service key, of services that share. */
	#names = new Map<string, string>();
	#next = 1;

	/** The set of each service that shares. `known`: the service may have sessions. */
	assign(services: readonly Service[], known: (service: Service) => boolean): TargetSets {
		const count = services.reduce((sum, service) => sum + mostTargets(service), 0);
		if (count <= SHARE_ABOVE && this.#names.size === 0) return NONE;
		const sharing = services.filter(({ key }) => this.#names.has(key));
		const rest = services.filter(({ key }) => !this.#names.has(key));
		// Sessions of a service that has had its own targets name these; that is ended only where numbers would run out.
		const own = rest.filter((service) => count <= SHARE_ABOVE || known(service));
		const ownCount = own.reduce((sum, service) => sum + mostTargets(service), 0);
		const alone = new Set(ownCount <= 4 * SHARE_ABOVE ? own : []);
		const nameOfShape = this.#remaining(sharing);
		const names = new Map<string, string>();
		const firsts = new Map<string, Service>();
		const sets = new Map<string, TargetSet>();
		for (const service of services) {
			if (alone.has(service)) continue;
			const shape = shapeOf(service);
			const name = nameOfShape.get(`${this.#names.get(service.key)} ${shape}`) ?? nameOfShape.get(shape) ?? this.#new();
			if (!nameOfShape.has(shape)) nameOfShape.set(shape, name);
			if (!firsts.has(name)) firsts.set(name, service);
			names.set(service.key, name);
			sets.set(service.key, { name, first: firsts.get(name)! });
		}
		this.#names = names;
		return sets;
	}

	/** To be kept beside pinned tables. */
	toJSON(): { next: number; names: [string, string][] } {
		return { next: this.#next, names: [...this.#names] };
	}

	static fromJSON(kept: ReturnType<TargetSetNames["toJSON"]>): TargetSetNames {
		const sets = new TargetSetNames();
		sets.#names = new Map(kept.names);
		sets.#next = kept.next;
		return sets;
	}

	#new(): string {
		return `shared/${this.#next++}`;
	}

	/** The names that stay: of each set for the shape that most of its services have; by "name shape", and by shape for
	 * services that come to it. */
	#remaining(sharing: readonly Service[]): Map<string, string> {
		const shapes = new Map<string, Map<string, number>>();
		for (const service of sharing) {
			const name = this.#names.get(service.key)!;
			const ofName = shapes.get(name) ?? new Map<string, number>();
			shapes.set(name, ofName);
			ofName.set(shapeOf(service), (ofName.get(shapeOf(service)) ?? 0) + 1);
		}
		const remaining = new Map<string, string>();
		for (const [name, ofName] of shapes) {
			const [[shape]] = [...ofName].sort(([, a], [, b]) => b - a) as [[string, number]];
			remaining.set(`${name} ${shape}`, name);
			if (!remaining.has(shape)) remaining.set(shape, name);
		}
		return remaining;
	}
}

const NONE: TargetSets = new Map();

/** Targets of one address a backend; an upper bound but for backends of several uplinks. */
function mostTargets(service: Service): number {
	return redirectionsOf(service).reduce((sum, { choices }) => sum + choices.length, 0);
}

const shapes = new WeakMap<Service, string>();

/** Computes what assign() needs of services that it has not seen, in steps between which an event loop may do other work. */
export function* shapesOf(services: readonly Service[]): Generator<void, void> {
	if (services.reduce((sum, service) => sum + mostTargets(service), 0) <= SHARE_ABOVE) return;
	for (const service of services) {
		if (shapes.has(service)) continue;
		shapeOf(service);
		yield;
	}
}

/** Equal of services whose targets have the same fields: all of the service but its identity and its rules' sources. */
function shapeOf(service: Service): string {
	const known = shapes.get(service);
	if (known !== undefined) return known;
	const { key: _key, name: _name, address: _address, rules: _rules, redirection: _own, ...more } = service;
	const { port, portLast, ports: _ports, ...rest } = more;
	const text = JSON.stringify([rest, portLast > port, redirectionsOf(service)]);
	const shape = createHash("sha256").update(text).digest("base64");
	if (Object.isFrozen(service)) shapes.set(service, shape);
	return shape;
}
