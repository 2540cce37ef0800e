// own-ports.ts - the ports that Shunt itself uses, and the services that would use the same port at the same address.
//
//   at a service's address     UDP cluster.controlPort: control datagrams of redirecting clients
//   at a gateway's address     UDP cluster.tunnelPort
//   at a backend's address     UDP cluster.tunnelPort, cluster.controlPort and load.port
//
// Owns: which uses collide, and the warning of a service at a gateway's own address.
// Must never: compare these ports with one another (build.ts does), or report a TCP service: all of them are UDP ports.

import { holdsAddress, parseAddress, parseServiceAddress } from "./address.js";
import { list } from "./field-types.js";
import type { Cluster, Gateway } from "./model.js";
import { areMany, holdsPort, isAny, type Ports, parsePorts, portsText } from "./ports.js";
import type { Path, ProblemList } from "./problems.js";
import type { ChoiceFields, ServiceFields } from "./schema.js";

/** undefined: the field is invalid, and no service is compared with it. */
export interface OwnPorts {
	readonly cluster: Pick<Cluster, "tunnelPort" | "controlPort"> | undefined;
	readonly loadPort: number | undefined;
	readonly gateways: readonly Gateway[];
}

/** A backend's port that is the service's own is reported once, at the service's port. */
export function checkOwnPorts(name: string, fields: ServiceFields, own: OwnPorts, problems: ProblemList): void {
	if (!list(fields.protocol).includes("udp")) return;
	const report = (path: Path, message: string) => problems.add("SHUNT_CONFIG_REFERENCE", path, message);
	// Of any port, the control port is not the service's, and its backends have no port of their own addresses for it.
	const ports = list(fields.port)
		.flatMap((written) => parsePorts(written) ?? [])
		.filter((one) => !isAny(one));
	const many = Array.isArray(fields.port) || ports.some(areMany);
	const places = ports.map((one, i): [Path, Ports] => [["services", name, "port", ...(many ? [i] : [])], one]);

	let inherited = false;
	for (const [path, one] of places) {
		const atVip = fieldAtVip(fields, one, own);
		if (atVip === undefined) continue;
		report(path, `${portsText(one)} ${isAlso(one)} ${atVip}, a UDP port of the same address; change one of them`);
		inherited = true;
	}

	const lists: [Path, readonly ChoiceFields[]][] = [[["services", name, "backends"], fields.backends]];
	for (const [i, rule] of fields.sources.entries())
		if (rule.backends !== undefined) lists.push([["services", name, "sources", i, "backends"], rule.backends]);
	for (const [path, choices] of lists) {
		for (const [i, choice] of choices.entries()) {
			const backend = typeof choice === "string" ? choice : choice.name;
			const given = typeof choice === "string" ? undefined : choice.port;
			if (given !== undefined) {
				const field = fieldAtBackend({ first: given, last: given }, own);
				if (field === undefined) continue;
				const message = `${given} is also ${field}, a UDP port of ${backend} itself; change one of them`;
				report([...path, i, "port"], message);
				continue;
			}
			for (const [place, one] of inherited ? [] : places) {
				const field = fieldAtBackend(one, own);
				if (field === undefined) continue;
				inherited = true;
				const remedy = many ? "" : ", or give the backends another port";
				const message = `${portsText(one)} ${isAlso(one)} ${field}, a UDP port of ${backend} itself; change one of them${remedy}`;
				report(place, message);
			}
		}
	}
}

/** Packets for the service do not reach the gateway itself, or the other way round: a service of that host is lost. */
export function warnOfOwnAddresses(name: string, fields: ServiceFields, own: OwnPorts, problems: ProblemList): void {
	for (const [i, text] of list(fields.address).entries()) {
		const gateway = gatewayOf(text, own);
		if (gateway === undefined) continue;
		if (parseServiceAddress(text)?.length !== 128) {
			const message = `${text} holds gateway ${gateway}'s own address; a prefix of service addresses must not hold one of a member`;
			problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "address", i], message);
			continue;
		}
		if (list(fields.port).includes("any")) {
			const message = `${text} is gateway ${gateway}'s own address, whose own programs (ssh, for example) would get no packets; a service of any port needs an address of its own`;
			problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "address", i], message);
			continue;
		}
		problems.warn(
			["services", name, "address", i],
			`${text} is gateway ${gateway}'s own address, so its own programs get no packets to port ${list(fields.port).join(", ")}, and other gateways cannot serve ${text} in its place; a service should have an address of its own`,
		);
	}
}

function isAlso(ports: Ports): string {
	return areMany(ports) ? "holds" : "is also";
}

function fieldAtVip({ address }: ServiceFields, ports: Ports, { cluster, ...own }: OwnPorts): string | undefined {
	if (cluster === undefined) return undefined;
	if (holdsPort(ports, cluster.controlPort)) return "cluster.controlPort";
	const ofGateway =
		holdsPort(ports, cluster.tunnelPort) && list(address).some((text) => gatewayOf(text, own) !== undefined);
	return ofGateway ? "cluster.tunnelPort" : undefined;
}

function fieldAtBackend(ports: Ports, { cluster, loadPort }: OwnPorts): string | undefined {
	if (cluster !== undefined && holdsPort(ports, cluster.tunnelPort)) return "cluster.tunnelPort";
	if (cluster !== undefined && holdsPort(ports, cluster.controlPort)) return "cluster.controlPort";
	return loadPort !== undefined && holdsPort(ports, loadPort) ? "load.port" : undefined;
}

function gatewayOf(text: string, { gateways }: Pick<OwnPorts, "gateways">): string | undefined {
	const service = parseServiceAddress(text);
	if (service === undefined) return undefined;
	if (service.length === 128) return gateways.find(({ addresses }) => addresses.includes(service.text))?.name;
	const inside = (own: string) => holdsAddress(service, parseAddress(own)!.bytes);
	return gateways.find(({ addresses }) => addresses.some(inside))?.name;
}
