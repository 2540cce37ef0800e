// own-ports.ts - the ports that Shunt itself uses, and the services that would use the same port at the same address.
//
//   at a service's address     UDP cluster.controlPort: control datagrams of redirecting clients
//   at a gateway's address     UDP cluster.tunnelPort
//   at a backend's address     UDP cluster.tunnelPort, cluster.controlPort and load.port
//
// Owns: which uses collide, and the warning of a service at a gateway's own address.
// Must never: compare these ports with one another (build.ts does), or report a TCP service: all of them are UDP ports.

import { parseAddress } from "./address.js";
import { list } from "./field-types.js";
import type { Cluster, Gateway } from "./model.js";
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
	const { port } = fields;

	const atVip = fieldAtVip(fields, own);
	if (atVip !== undefined) {
		report(["services", name, "port"], `${port} is also ${atVip}, a UDP port of the same address; change one of them`);
	}

	const lists: [Path, readonly ChoiceFields[]][] = [[["services", name, "backends"], fields.backends]];
	for (const [i, rule] of fields.sources.entries())
		if (rule.backends !== undefined) lists.push([["services", name, "sources", i, "backends"], rule.backends]);
	let inherited = atVip !== undefined;
	for (const [path, choices] of lists) {
		for (const [i, choice] of choices.entries()) {
			const given = typeof choice === "string" ? undefined : choice.port;
			const field = fieldAtBackend(given ?? port, own);
			if (field === undefined) continue;
			const backend = typeof choice === "string" ? choice : choice.name;
			if (given !== undefined) {
				const message = `${given} is also ${field}, a UDP port of ${backend} itself; change one of them`;
				report([...path, i, "port"], message);
			} else if (!inherited) {
				inherited = true;
				const message = `${port} is also ${field}, a UDP port of ${backend} itself; change one of them, or give the backends another port`;
				report(["services", name, "port"], message);
			}
		}
	}
}

/** Packets for the service do not reach the gateway itself, or the other way round: a service of that host is lost. */
export function warnOfOwnAddresses(name: string, fields: ServiceFields, own: OwnPorts, problems: ProblemList): void {
	for (const [i, text] of list(fields.address).entries()) {
		const gateway = gatewayOf(text, own);
		if (gateway === undefined) continue;
		problems.warn(
			["services", name, "address", i],
			`${text} is gateway ${gateway}'s own address, so its own programs get no packets to port ${fields.port}, and other gateways cannot serve ${text} in its place; a service should have an address of its own`,
		);
	}
}

function fieldAtVip({ address, port }: ServiceFields, { cluster, ...own }: OwnPorts): string | undefined {
	if (port === cluster?.controlPort) return "cluster.controlPort";
	const ofGateway = port === cluster?.tunnelPort && list(address).some((text) => gatewayOf(text, own) !== undefined);
	return ofGateway ? "cluster.tunnelPort" : undefined;
}

function fieldAtBackend(port: number, { cluster, loadPort }: OwnPorts): string | undefined {
	if (port === cluster?.tunnelPort) return "cluster.tunnelPort";
	if (port === cluster?.controlPort) return "cluster.controlPort";
	return port === loadPort ? "load.port" : undefined;
}

function gatewayOf(text: string, { gateways }: Pick<OwnPorts, "gateways">): string | undefined {
	const address = parseAddress(text)?.text;
	return gateways.find(({ addresses }) => address !== undefined && addresses.includes(address))?.name;
}
