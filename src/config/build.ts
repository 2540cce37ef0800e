// build.ts - from the fields of a configuration to a Config: defaults that depend on other fields, services by family
// and protocol, and every check that compares fields.
//
// Must never: stop at a problem, or use a field that schema.ts has refused (it is left out, and so are the checks that
// would need it; its name still counts as known, so that one invalid backend is one problem).

import type { z } from "zod";
import { type Address, parseAddress } from "./address.js";
import { buildDatabase } from "./database.js";
import { list, SECRET_PATTERN } from "./field-types.js";
import type { Backend, Config, Gateway, Key, Service, Uplink } from "./model.js";
import type { ProblemList } from "./problems.js";
import { ms, parseShare, parseSpeed } from "./quantities.js";
import { serviceSchema } from "./schema.js";
import { clusterSchema, engineSchema, loadSchema, sessionsSchema } from "./schema-cluster.js";
import { databaseSchema } from "./schema-database.js";
import { healthSchema } from "./schema-health.js";
import { type BackendFields, backendSchema, gatewaySchema } from "./schema-members.js";
import { modeForOthers } from "./secret-file.js";
import { buildServices } from "./services.js";
import { checkTunnelSources } from "./tunnel-sources.js";

/** A key file's content, path and permission bits. */
export type ReadSecret = (name: string) => { readonly secret: string; readonly path: string; readonly mode: number };

/** `valid`: the whole of `data` is the schema's output; else each section and entry is parsed by itself. */
export function build(
	data: Record<string, unknown>,
	valid: boolean,
	file: string,
	problems: ProblemList,
	readSecret: ReadSecret,
): Config | undefined {
	const cluster = buildCluster(data.cluster, valid, problems, readSecret);
	const sessions = parsed(sessionsSchema, data.sessions ?? {}, valid);
	const engine = parsed(engineSchema, data.engine ?? {}, valid);
	const load = parsed(loadSchema, data.load ?? {}, valid);
	const health = parsed(healthSchema, data.health ?? {}, valid);
	const databaseFields = parsed(databaseSchema, data.database ?? {}, valid);
	const database = databaseFields && buildDatabase(databaseFields, file, problems);
	if (database?.kind === "static")
		for (const section of ["backends", "services"] as const)
			if (data[section] === undefined)
				problems.add(
					"SHUNT_CONFIG_INVALID",
					[section],
					`missing; must be a map from each ${section.slice(0, -1)}'s name to its fields`,
				);
	const gateways = [...entries(gatewaySchema, data.gateways, valid)].map(
		([name, fields]): Gateway => ({
			name,
			interfaces: list(fields.interface),
			addresses: canonical(list(fields.address)),
		}),
	);
	const backends = [...entries(backendSchema, data.backends, valid)].map(
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
	checkGatewaysAreNoBackends(gateways, backends, problems);
	const services: Service[] = buildServices(
		entries(serviceSchema, data.services, valid),
		new Map(backends.map((backend) => [backend.name, backend])),
		new Set(Object.keys(record(data.backends))),
		problems,
		{ cluster, loadPort: load?.port, gateways },
		health ?? healthSchema.parse({}),
	);

	if (load !== undefined && ms(load.stale) < 2 * ms(load.report)) {
		const least = `${2 * ms(load.report)}ms`;
		const message = `${load.stale} is less than twice load.report (${load.report}), so one lost report makes a load unknown; write at least ${least}`;
		problems.add("SHUNT_CONFIG_REFERENCE", ["load", "stale"], message);
	}

	if (cluster !== undefined) {
		checkControlPort(cluster, load?.port, problems);
		checkTunnelSources({ cluster, gateways, backends }, problems);
	}

	if (cluster === undefined || sessions === undefined || engine === undefined) return undefined;
	if (load === undefined || health === undefined || database === undefined) return undefined;
	return {
		file,
		cluster,
		database,
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
		health: { rise: health.rise, fall: health.fall, holdMs: ms(health.hold), reports: health.reports },
		engine: {
			mode: engine.mode,
			workers: engine.workers,
			busyPollUs: Math.round(ms(engine.busyPoll) * 1000),
			qdiscBypass: engine.qdiscBypass,
			stations: engine.stations === "any" ? "any" : engine.stations.map((mac) => mac.replaceAll(":", "").toLowerCase()),
		},
		gateways,
		backends,
		services,
		warnings: [...problems.warnings].sort((a, b) => a.line - b.line || a.column - b.column),
	};
}

/** The configured uplinks, and one more for each address that none of them names. */
function buildUplinks(backend: string, fields: BackendFields, problems: ProblemList): Uplink[] {
	const own = canonical(list(fields.address));
	const holder = new Map<string, number>();
	const uplinks = fields.uplinks.map((uplink, i): Uplink => {
		const addresses = canonical(list(uplink.address));
		for (const [j, address] of addresses.entries()) {
			const path = ["backends", backend, "uplinks", i, "address", ...(Array.isArray(uplink.address) ? [j] : [])];
			const report = (message: string) => problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			const other = holder.get(address);
			if (!own.includes(address))
				report(`${address} is not an address of ${backend}; must be one of ${own.join(", ")}`);
			else if (other !== undefined) report(`${address} is already in uplinks[${other}]; each address has one uplink`);
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
	const implied = rest.map(
		(address): Uplink => ({ addresses: [address], interface: null, speedBps: 0, cost: 1, cap: 0.95 }),
	);
	return [...uplinks, ...implied];
}

function buildCluster(
	data: unknown,
	valid: boolean,
	problems: ProblemList,
	readSecret: ReadSecret,
): Config["cluster"] | undefined {
	const fields = parsed(clusterSchema, data, valid);
	if (fields === undefined) return undefined;
	const keys: Key[] = [];
	for (const [i, key] of fields.keys.entries()) {
		const path = ["cluster", "keys", i];
		const report = (field: string, message: string) =>
			problems.add("SHUNT_CONFIG_REFERENCE", [...path, field], message);
		if (keys.some((other) => other.id === key.id))
			report("id", `${key.id} is already the id of another key; each key needs its own`);
		if (key.secret !== undefined && key.secretFile !== undefined) {
			report("secretFile", "given together with secret; a key has one of the two; remove one");
		} else if (key.secret === undefined && key.secretFile === undefined) {
			report("secret", "missing, and so is secretFile; a key needs one of the two");
		}
		keys.push({ id: key.id, secret: key.secret ?? secretOf(key.secretFile, report, readSecret) });
	}
	const signKey = fields.sign ?? fields.keys.at(-1)?.id ?? 0;
	if (!keys.some((key) => key.id === signKey)) {
		const known = keys.map((key) => key.id).join(", ");
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			["cluster", "sign"],
			`${signKey} is not the id of a key; must be one of ${known}`,
		);
	}
	return {
		name: fields.name,
		seed: fields.seed,
		keys: keys.map((key) => ({ id: key.id, secret: key.secret.toLowerCase() })),
		signKey,
		windowMs: ms(fields.window),
		tunnelPort: fields.tunnelPort,
		tunnelFrom: fields.tunnelFrom,
		controlPort: fields.controlPort,
		indications: { source: fields.indications.source, burst: fields.indications.burst, all: fields.indications.all },
		maxHops: fields.hops,
	};
}

/** Packets to the control port are taken for control datagrams, so no other use may share it. */
function checkControlPort(cluster: Config["cluster"], loadPort: number | undefined, problems: ProblemList): void {
	const { controlPort, tunnelPort } = cluster;
	const report = (other: string) =>
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			["cluster", "controlPort"],
			`${controlPort} is also ${other}; control datagrams need their own port; change one of them`,
		);
	if (controlPort === tunnelPort) report("cluster.tunnelPort");
	if (controlPort === loadPort) report("load.port");
}

function secretOf(
	name: string | undefined,
	report: (field: string, message: string) => void,
	readSecret: ReadSecret,
): string {
	if (name === undefined) return "";
	try {
		const { secret, path, mode } = readSecret(name);
		const open = modeForOthers(mode);
		if (!SECRET_PATTERN.test(secret))
			report("secretFile", `${name} does not hold a key; must be a file of 32 hex digits and nothing else`);
		else if (open !== undefined)
			report(
				"secretFile",
				`${name} has mode ${open}, by which others can read or change it; a key is its owner's alone; chmod 600 ${path}`,
			);
		return secret;
	} catch (error) {
		const why = (error as Error).message;
		report("secretFile", `${name} cannot be read: ${why}; must be a file of 32 hex digits`);
		return "";
	}
}

/** One address belongs to one member, once. */
function checkAddresses(section: string, members: readonly (Backend | Gateway)[], problems: ProblemList): void {
	const owner = new Map<string, string>();
	for (const member of members) {
		for (const [i, address] of member.addresses.entries()) {
			const other = owner.get(address);
			if (other !== undefined) {
				const where = other === member.name ? "is already in this list" : `is already an address of ${other}`;
				const message = `${address} ${where}; each address belongs to one member, once`;
				problems.add("SHUNT_CONFIG_REFERENCE", [section, member.name, "address", i], message);
			}
			owner.set(address, member.name);
		}
	}
}

/** The tunnel would lead from a host to itself, where no engine takes its packets: the backend would lose its share. */
function checkGatewaysAreNoBackends(
	gateways: readonly Gateway[],
	backends: readonly Backend[],
	problems: ProblemList,
): void {
	const owner = new Map(backends.flatMap(({ name, addresses }) => addresses.map((address) => [address, name])));
	for (const { name, addresses } of gateways) {
		for (const [i, address] of addresses.entries()) {
			const backend = owner.get(address);
			if (backend === undefined) continue;
			const message = `${address} is also the address of backend ${backend}; a gateway cannot forward to itself; run the two on different hosts, or remove one of them`;
			problems.add("SHUNT_CONFIG_REFERENCE", ["gateways", name, "address", i], message);
		}
	}
}

/** The entries of a section that have the right shape. */
function* entries<T extends z.ZodType>(schema: T, section: unknown, valid: boolean): Generator<[string, z.output<T>]> {
	for (const [name, fields] of Object.entries(record(section))) {
		const entry = parsed(schema, fields, valid);
		if (entry !== undefined) yield [name, entry];
	}
}

function parsed<T extends z.ZodType>(schema: T, fields: unknown, valid: boolean): z.output<T> | undefined {
	if (valid) return fields as z.output<T>;
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
