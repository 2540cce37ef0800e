// service-ports.ts - the ports and prefixes of all services together: what replies could not be told apart by, and the
// packet program's limits.
//
// Owns: these checks, and the ports at the backends of a service with a list of ports.
// Must never: stop at a problem (see build.ts).

import { list } from "./field-types.js";
import type { Choice, Redirection, Rule, Service } from "./model.js";
import { areMany, holdsPort, MAX_RANGES, type Ports, parsePorts } from "./ports.js";
import type { Path, ProblemList } from "./problems.js";
import { redirectionsOf } from "./redirections.js";
import type { ServiceFields } from "./schema.js";

/** SH_ADDRESS_LENGTHS of the packet program. */
const MAX_ADDRESS_LENGTHS = 8;

export function portsOf(fields: ServiceFields): Ports[] {
	return list(fields.port).flatMap((port) => parsePorts(port) ?? []);
}

/** Of a list of ports: redirections with the port of one entry, each computed once. */
export function portFiller(several: boolean) {
	const filled = new Map<number, Map<Redirection, Redirection>>();
	return (ports: Ports, redirection: Redirection, rules: readonly Rule[]): Pick<Service, "redirection" | "rules"> => {
		if (!several || areMany(ports)) return { redirection, rules };
		const known = filled.get(ports.first) ?? new Map<Redirection, Redirection>();
		filled.set(ports.first, known);
		const fill = (one: Redirection): Redirection => {
			const choices = one.choices.map((choice) => ({ ...choice, port: ports.first }));
			const found = known.get(one) ?? { ...one, choices };
			known.set(one, found);
			return found;
		};
		return {
			redirection: fill(redirection),
			rules: rules.map((rule) => ({ ...rule, redirection: fill(rule.redirection) })),
		};
	};
}

export function checkPorts(services: readonly Service[], problems: ProblemList): void {
	checkReturnPath(services, problems);
	checkRanges(services, problems);
	checkAddressLengths(services, problems);
}

/**
 * A reply leaves the backend from the service's address and backend port: that pair must identify the service's port.
 */
function checkReturnPath(services: readonly Service[], problems: ProblemList): void {
	const reported = new Set<string>();
	for (const [at, users] of usersOfPorts(services)) {
		// Mostly one service, or several of one port, uses a port of its backends at an address.
		if (users.every(({ service }) => service.port === users[0]!.service.port)) continue;
		const serviceOf = new Map<string, Service>();
		for (const { service, port } of users) {
			for (const { backend } of choicesOf(service).filter((choice) => choice.port !== 0 && choice.port === port)) {
				const from = `${backend} ${at}`;
				const other = serviceOf.get(backend) ?? service;
				serviceOf.set(backend, other);
				if (other.port === service.port || reported.has(from)) continue;
				reported.add(from);
				problems.add(
					"SHUNT_CONFIG_REFERENCE",
					["services", service.name, "backends"],
					`${backend} serves ${service.address} at ${service.protocol} port ${port} for port ${service.port} here and for port ${other.port} of service ${other.name}, so its replies are ambiguous; give one of them another backend port`,
				);
			}
		}
	}
}

/** Ranges of one address and protocol do not overlap, but for `any`; a port inside a range is no other service's backend port. */
function checkRanges(services: readonly Service[], problems: ProblemList): void {
	const ranges = new Map<string, Service[]>();
	for (const service of services) {
		if (service.portLast === service.port) continue;
		const at = `${service.protocol} ${service.address}`;
		const others = ranges.get(at) ?? [];
		const path: Path = ["services", service.name, "port"];
		for (const other of others) {
			const overlap = other.port <= service.portLast && service.port <= other.portLast;
			if (!overlap || [other.ports, service.ports].includes("any")) continue;
			const message = `${service.ports} overlaps ${other.ports} of service ${other.name} at ${service.address}; ranges of ports must not overlap`;
			problems.add("SHUNT_CONFIG_REFERENCE", path, message);
		}
		others.push(service);
		ranges.set(at, others);
		if (others.length === MAX_RANGES + 1) {
			const message = `${service.address} has more than ${MAX_RANGES} ranges of ${service.protocol} ports, the most that one address can have; join some`;
			problems.add("SHUNT_CONFIG_REFERENCE", path, message);
		}
	}
	for (const service of services) {
		const around = ranges.get(`${service.protocol} ${service.address}`) ?? [];
		for (const { backend, port } of redirectionsOf(service).flatMap(({ choices }) => choices)) {
			if (port === 0 || port === service.port) continue;
			const range = around.find(
				(other) =>
					holdsPort({ first: other.port, last: other.portLast }, port) &&
					redirectionsOf(other).some(({ choices }) => choices.some((one) => one.backend === backend)),
			);
			if (range === undefined) continue;
			const message = `${backend} serves port ${service.port} of ${service.address} at ${port}, which ports ${range.ports} of service ${range.name} hold too, so its replies are ambiguous; give it a backend port outside of them`;
			problems.add("SHUNT_CONFIG_REFERENCE", ["services", service.name, "backends"], message);
		}
	}
}

/** By protocol, service address and backend port: the services whose backends use it. */
function usersOfPorts(services: readonly Service[]): Map<string, { service: Service; port: number }[]> {
	const users = new Map<string, { service: Service; port: number }[]>();
	for (const service of services) {
		for (const port of new Set(choicesOf(service).map((choice) => choice.port))) {
			const at = `${service.protocol}/${service.address}/${port}`;
			const ofPort = users.get(at) ?? [];
			ofPort.push({ service, port });
			users.set(at, ofPort);
		}
	}
	return users;
}

/** Of all its redirections. */
function choicesOf(service: Service): Choice[] {
	return redirectionsOf(service).flatMap(({ choices }) => choices);
}

function checkAddressLengths(services: readonly Service[], problems: ProblemList): void {
	const lengths = new Set<number>();
	for (const { name, addressLength } of services) {
		if (addressLength === 128 || lengths.has(addressLength)) continue;
		lengths.add(addressLength);
		if (lengths.size !== MAX_ADDRESS_LENGTHS + 1) continue;
		const message = `the services' prefixes have more than ${MAX_ADDRESS_LENGTHS} different lengths, the most that are looked up; divide this one into prefixes of a length that others have`;
		problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "address"], message);
	}
}
