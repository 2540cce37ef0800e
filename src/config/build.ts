// build.ts - from the fields of a configuration to its meaning: defaults between fields, services by family and
// protocol, and every check that looks from one field at another.
//
// Must never: stop at a problem, or trust a field that schema.ts has refused (it is left out, and so are the checks
// that would need it; names are still taken from it, so that one bad backend is one problem).

import type { z } from "zod";
import { type Address, parseAddress } from "./address.js";

import type { Backend, Config, Gateway, Key, Service, Uplink } from "./model.js";
import type { ProblemList } from "./problems.js";
import { ms, parseShare, parseSpeed } from "./quantities.js";
import {
	type BackendFields,
	backendSchema,
	clusterSchema,
	engineSchema,
	gatewaySchema,
	list,
	loadSchema,
	SECRET_PATTERN,
	serviceSchema,
	sessionsSchema,
} from "./schema.js";
import { buildServices } from "./services.js";

export type ReadSecret = (name: string) => string;

export function build(
	data: Record<string, unknown>,
	file: string,
	problems: ProblemList,
	readSecret: ReadSecret,
): Config | undefined {
	const cluster = buildCluster(data.cluster, problems, readSecret);
	const sessions = parsed(sessionsSchema, data.sessions ?? {});
	const engine = parsed(engineSchema, data.engine ?? {});
	const load = parsed(loadSchema, data.load ?? {});
	const gateways = [...entries(gatewaySchema, data.gateways)].map(
		([name, fields]): Gateway => ({
			name,
			interfaces: list(fields.interface),
			addresses: canonical(list(fields.address)),
		}),
	);
	const backends = [...entries(backendSchema, data.backends)].map(
		([name, fields]): Backend => ({
			name,
			addresses: canonical(list(fields.address)),
			interfaces: list(fields.interface),
			state: fields.state,
			capacity: fields.capacity ?? load?.capacity ?? 1,
			uplinks: buildUplinks(name, fields, problems),
		}),
	);
	checkAddresses("backends", backends, problems);
	checkAddresses("gateways", gateways, problems);
	const services: Service[] = buildServices(
		entries(serviceSchema, data.services),
		new Map(backends.map((backend) => [backend.name, backend])),
		new Set(Object.keys(record(data.backends))),
		problems,
	);

	if (load !== undefined && ms(load.stale) < 2 * ms(load.report)) {
		const message = `is ${load.stale}, less than two periods of report (${load.report}); one lost report would make a load unknown`;
		problems.add("SHUNT_CONFIG_REFERENCE", ["load", "stale"], message);
	}

	if (cluster !== undefined) checkControlPort(cluster, load?.port, problems);

	if (cluster === undefined || sessions === undefined || engine === undefined || load === undefined) return undefined;
	return {
		file,
		cluster,
		sessions: {
			capacity: sessions.capacity,
			capacityIpv6: sessions.capacityIpv6,
			checkMs: ms(sessions.check),
		},
		load: {
			reportMs: ms(load.report),
			smoothMs: ms(load.smooth),
			staleMs: ms(load.stale),
			port: load.port,
			udp: load.udp,
			tcp: load.tcp,
			cpu: load.cpu,
			link: load.link,
		},
		engine: {
			mode: engine.mode,
			workers: engine.workers,
			busyPollUs: Math.round(ms(engine.busyPoll) * 1000),
			qdiscBypass: engine.qdiscBypass,
		},
		gateways,
		backends,
		services,
	};
}

/** Those configured, and one for each address that none of them names. */
function buildUplinks(backend: string, fields: BackendFields, problems: ProblemList): Uplink[] {
	const own = canonical(list(fields.address));
	const holder = new Map<string, number>();
	const uplinks = fields.uplinks.map((uplink, i): Uplink => {
		const addresses = canonical(list(uplink.address));
		for (const [j, address] of addresses.entries()) {
			const path = ["backends", backend, "uplinks", i, "address", ...(Array.isArray(uplink.address) ? [j] : [])];
			const complain = (message: string) => problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			const other = holder.get(address);
			if (!own.includes(address))
				complain(`is ${address}, which is not an address of ${backend}; its addresses are ${own.join(", ")}`);
			else if (other !== undefined) complain(`is ${address}, which uplinks[${other}] has already`);
			holder.set(address, i);
		}
		return {
			addresses,
			interface: uplink.interface ?? null,
			speedBps: uplink.speed === undefined ? 0 : (parseSpeed(uplink.speed) ?? 0),
			cost: uplink.cost,
			cap: parseShare(uplink.cap) ?? 1,
		};
	});
	const rest = own.filter((address) => !holder.has(address));
	const alone = rest.map(
		(address): Uplink => ({ addresses: [address], interface: null, speedBps: 0, cost: 1, cap: 0.95 }),
	);
	return [...uplinks, ...alone];
}

function buildCluster(data: unknown, problems: ProblemList, readSecret: ReadSecret): Config["cluster"] | undefined {
	const fields = parsed(clusterSchema, data);
	if (fields === undefined) return undefined;
	const keys: Key[] = [];
	for (const [i, key] of fields.keys.entries()) {
		const path = ["cluster", "keys", i];
		const complain = (field: string, message: string) =>
			problems.add("SHUNT_CONFIG_REFERENCE", [...path, field], message);
		if (keys.some((other) => other.id === key.id))
			complain("id", `${key.id} stands twice; each key has an id of its own`);
		if (key.secret !== undefined && key.secretFile !== undefined) {
			complain("secretFile", "stands beside secret; a key has one or the other");
		} else if (key.secret === undefined && key.secretFile === undefined) {
			complain("secret", "is missing, and so is secretFile; a key needs one of the two");
		}
		keys.push({ id: key.id, secret: key.secret ?? secretOf(key.secretFile, complain, readSecret) });
	}
	const signKey = fields.sign ?? fields.keys.at(-1)?.id ?? 0;
	if (!keys.some((key) => key.id === signKey)) {
		const known = keys.map((key) => key.id).join(", ");
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			["cluster", "sign"],
			`is ${signKey}, which is the id of no key; the ids are ${known}`,
		);
	}
	return {
		name: fields.name,
		seed: fields.seed,
		keys: keys.map((key) => ({ id: key.id, secret: key.secret.toLowerCase() })),
		signKey,
		windowMs: ms(fields.window),
		tunnelPort: fields.tunnelPort,
		controlPort: fields.controlPort,
		indications: { source: fields.indications.source, burst: fields.indications.burst, all: fields.indications.all },
		maxHops: fields.hops,
	};
}

/** What comes to the control port must be the control datagrams' alone. */
function checkControlPort(cluster: Config["cluster"], loadPort: number | undefined, problems: ProblemList): void {
	const { controlPort, tunnelPort } = cluster;
	const complain = (other: string) =>
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			["cluster", "controlPort"],
			`is ${controlPort}, which is ${other} too; control datagrams need a port of their own`,
		);
	if (controlPort === tunnelPort) complain("cluster.tunnelPort");
	if (controlPort === loadPort) complain("load.port");
}

function secretOf(
	name: string | undefined,
	complain: (field: string, message: string) => void,
	readSecret: ReadSecret,
): string {
	if (name === undefined) return "";
	try {
		const secret = readSecret(name);
		if (!SECRET_PATTERN.test(secret))
			complain("secretFile", `names ${name}, which does not hold 32 hex digits and nothing else`);
		return secret;
	} catch (error) {
		const why = (error as { code?: string }).code ?? String(error);
		complain("secretFile", `names ${name}, which cannot be read (${why})`);
		return "";
	}
}

/** One address belongs to one server, once. */
function checkAddresses(section: string, servers: readonly (Backend | Gateway)[], problems: ProblemList): void {
	const owner = new Map<string, string>();
	for (const server of servers) {
		for (const [i, address] of server.addresses.entries()) {
			const other = owner.get(address);
			if (other !== undefined) {
				const whose = other === server.name ? "stands here twice" : `belongs to ${other} already`;
				const message = `is ${address}, which ${whose}; each address belongs to one server, once`;
				problems.add("SHUNT_CONFIG_REFERENCE", [section, server.name, "address", i], message);
			}
			owner.set(address, server.name);
		}
	}
}

/** Those entries of a section that have the right shape. */
function* entries<T extends z.ZodType>(schema: T, section: unknown): Generator<[string, z.output<T>]> {
	for (const [name, fields] of Object.entries(record(section))) {
		const good = parsed(schema, fields);
		if (good !== undefined) yield [name, good];
	}
}

function parsed<T extends z.ZodType>(schema: T, fields: unknown): z.output<T> | undefined {
	const result = schema.safeParse(fields);
	return result.success ? result.data : undefined;
}

function record(value: unknown): Record<string, unknown> {
	return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function canonical(addresses: readonly string[]): string[] {
	return addresses
		.map((text) => parseAddress(text))
		.filter((a): a is Address => a !== undefined)
		.map((a) => a.text);
}
