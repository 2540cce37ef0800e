// services.ts - the services of a configuration: one per family and protocol, with rules, terms and backends resolved.
//
// Owns: the checks and defaults among a service's fields. Must never: stop at a problem (see build.ts).

import { strategyOf } from "../policy/strategy/index.js";
import { parseAddress, parsePrefixes } from "./address.js";
import { list } from "./field-types.js";
import type { Backend, Choice, Family, Probe, Redirection, Rule, Service, ServiceHealth, Terms } from "./model.js";
import { serviceKey } from "./model.js";
import { checkOwnPorts, type OwnPorts, warnOfOwnAddresses } from "./own-ports.js";
import type { Path, ProblemList } from "./problems.js";
import { ms, parseShare } from "./quantities.js";
import type { ChoiceFields, HealthFields, ServiceFields, TermsFields } from "./schema.js";
import { copiedServiceFields } from "./service-fields.js";
import { nearest } from "./suggest.js";

/** SH_PREFIX_LENGTHS of the packet program. */
const MAX_PREFIX_LENGTHS = 16;

interface Known {
	/** Backends whose fields are valid. */
	readonly backends: ReadonlyMap<string, Backend>;
	/** Names of all backends, of invalid ones too. */
	readonly names: ReadonlySet<string>;
	readonly problems: ProblemList;
}

export function buildServices(
	entries: Iterable<[string, ServiceFields]>,
	backends: ReadonlyMap<string, Backend>,
	names: ReadonlySet<string>,
	problems: ProblemList,
	ownPorts: OwnPorts,
	health: HealthFields,
): Service[] {
	const known = { backends, names, problems };
	const ownerOfAddress = new Map<string, string>();
	for (const backend of backends.values())
		for (const address of backend.addresses) ownerOfAddress.set(address, backend.name);

	const services: Service[] = [];
	const holder = new Map<string, string>();
	for (const [name, fields] of entries) {
		const rules = buildRules(name, fields, known);
		const redirection: Redirection = {
			choices: buildChoices(["services", name, "backends"], fields.backends, fields, known),
			terms: buildTerms(["services", name, "redirect"], fields.redirect, {}, problems),
		};
		checkProtocols(name, fields, problems);
		const probe = buildProbe(name, fields.health.probe, health, problems);
		checkOwnPorts(name, fields, ownPorts, problems);
		warnOfOwnAddresses(name, fields, ownPorts, problems);
		const many = Array.isArray(fields.address);
		for (const [i, text] of list(fields.address).entries()) {
			const address = parseAddress(text);
			if (address === undefined) continue;
			const path: Path = many ? ["services", name, "address", i] : ["services", name, "address"];
			const owner = ownerOfAddress.get(address.text);
			if (owner !== undefined) {
				const message = `${address.text} is the address of backend ${owner}; a service needs an address that no backend has`;
				problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			}
			for (const protocol of new Set(list(fields.protocol))) {
				const key = serviceKey(protocol, address.text, fields.port);
				const other = holder.get(key);
				if (other !== undefined) {
					const where = other === name ? "listed twice in this service" : `already used by service ${other}`;
					const message = `${address.text} with ${protocol} port ${fields.port} is ${where}; address, protocol and port identify one service`;
					problems.add("SHUNT_CONFIG_REFERENCE", path, message);
				}
				holder.set(key, name);
				services.push({
					key,
					name,
					address: address.text,
					family: address.family,
					protocol,
					...copiedServiceFields(fields),
					...periods(protocol, fields),
					count: fields.count,
					spread: strategyOf(fields.choose).spread ?? fields.spread,
					choose: fields.choose,
					via: familyOf(fields.via),
					health: { ...buildHealth(fields.health, health), probe: probeFor(protocol, probe) },
					invitedOnly: fields.uninvited === "drop",
					refusesSilently: fields.refuse === "silent",
					redirection,
					rules: rules.get(address.family) ?? [],
				});
			}
		}
	}
	checkReturnPath(services, problems);
	return services;
}

/** RFC 5382, REQ-5: 2 hours 4 minutes for an established connection, 4 minutes for one that is not. */
const TCP_IDLE_MS = 124 * 60_000;
const TCP_TRANSITORY_MS = 4 * 60_000;
const UDP_IDLE_MS = 30_000;

function periods(
	protocol: Service["protocol"],
	fields: ServiceFields,
): Pick<Service, "idleMs" | "idleTransitoryMs" | "idleSentMs"> {
	const tcp = protocol === "tcp";
	const idleMs = fields.idle === undefined ? (tcp ? TCP_IDLE_MS : UDP_IDLE_MS) : ms(fields.idle);
	const transitoryMs =
		fields.idleTransitory === undefined ? Math.min(TCP_TRANSITORY_MS, idleMs) : ms(fields.idleTransitory);
	return {
		idleMs,
		idleTransitoryMs: tcp ? transitoryMs : idleMs,
		idleSentMs: fields.idleSent === undefined ? idleMs : ms(fields.idleSent),
	};
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
			for (const { backend } of choicesOf(service).filter((choice) => choice.port === port)) {
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
	const redirections = new Set([service.redirection, ...service.rules.map((rule) => rule.redirection)]);
	return [...redirections].flatMap(({ choices }) => choices);
}

function checkProtocols(name: string, fields: ServiceFields, problems: ProblemList): void {
	const protocols = list(fields.protocol);
	for (const [i, protocol] of protocols.entries()) {
		if (protocols.indexOf(protocol) < i) {
			problems.add(
				"SHUNT_CONFIG_REFERENCE",
				["services", name, "protocol", i],
				`${protocol} is already in this list; name each protocol once`,
			);
		}
	}
}

/** The rules of a service by family, longest prefix first. */
function buildRules(name: string, fields: ServiceFields, known: Known): ReadonlyMap<Family, Rule[]> {
	const { problems } = known;
	const families = new Set(list(fields.address).map((text) => parseAddress(text)?.family));
	const rules = new Map<Family, (Rule & { length: number })[]>();
	const own = buildChoices(["services", name, "backends"], fields.backends, fields, { ...known, problems: undefined });
	const shared = new Map<string, Redirection>();
	/** Of rules that only name backends: most of many rules name the same few. */
	const byNames = new Map<string, Redirection>();
	const seen = new Map<string, string>();
	for (const [i, rule] of fields.sources.entries()) {
		const base: Path = ["services", name, "sources", i];
		if (rule.backends === undefined && rule.redirect === undefined) {
			problems.add("SHUNT_CONFIG_REFERENCE", base, "the rule changes nothing; must have backends, redirect or both");
		}
		const names = backendNamesOf(rule);
		let redirection = names === undefined ? undefined : byNames.get(names);
		if (redirection === undefined) {
			const reported = problems.list.length;
			const terms = buildTerms([...base, "redirect"], rule.redirect, fields.redirect ?? {}, problems);
			const choices =
				rule.backends === undefined ? own : buildChoices([...base, "backends"], rule.backends, fields, known);
			// Equal redirections are one object, so that what follows from it is computed once.
			const identity = JSON.stringify([terms, choices]);
			redirection = shared.get(identity) ?? { choices, terms };
			shared.set(identity, redirection);
			// A problem is reported of each rule that has it.
			if (names !== undefined && problems.list.length === reported) byNames.set(names, redirection);
		}
		for (const [j, text] of list(rule.from).entries()) {
			const path: Path = Array.isArray(rule.from) ? [...base, "from", j] : [...base, "from"];
			const prefixes = parsePrefixes(text);
			const family = prefixes[0]?.family;
			if (family === undefined) continue;
			if (!families.has(family)) {
				const message = `${text} is an IPv${family} prefix, but the service has no IPv${family} address; remove it, or add such an address`;
				problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			}
			const ofFamily = rules.get(family) ?? [];
			for (const prefix of prefixes) {
				const before = seen.get(prefix.text);
				if (before !== undefined) {
					const part = prefixes.length > 1 ? `, a part of ${text},` : "";
					const message = `${prefix.text}${part} is already in ${before}; each prefix may be given once in a service`;
					problems.add("SHUNT_CONFIG_REFERENCE", path, message);
				}
				seen.set(prefix.text, `sources[${i}]`);
				ofFamily.push({ from: prefix.text, redirection, length: prefix.length });
			}
			rules.set(family, ofFamily);
		}
	}
	for (const [family, ofFamily] of rules) {
		const lengths = new Set(ofFamily.map((rule) => rule.length));
		if (lengths.size > MAX_PREFIX_LENGTHS) {
			const message = `IPv${family} prefixes of ${lengths.size} different lengths; a service may have at most ${MAX_PREFIX_LENGTHS}`;
			problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "sources"], message);
		}
		ofFamily.sort((a, b) => b.length - a.length);
	}
	return new Map(
		[...rules].map(([family, of]) => [family, of.map(({ from, redirection }) => ({ from, redirection }))]),
	);
}

/** Of a rule that has nothing but sources and names of backends; undefined of others. */
function backendNamesOf(rule: ServiceFields["sources"][number]): string | undefined {
	const plain = Object.keys(rule).every((field) => field === "from" || field === "backends");
	if (!plain || rule.backends === undefined) return undefined;
	return rule.backends.every((choice) => typeof choice === "string") ? rule.backends.join(" ") : undefined;
}

function buildChoices(
	path: Path,
	fields: readonly ChoiceFields[],
	service: ServiceFields,
	known: Omit<Known, "problems"> & { readonly problems: ProblemList | undefined },
): Choice[] {
	const choices: Choice[] = [];
	const seen = new Set<string>();
	for (const [i, field] of fields.entries()) {
		const map: Exclude<ChoiceFields, string> = typeof field === "string" ? { name: field, weight: 1 } : field;
		const at: Path = typeof field === "string" ? [...path, i] : [...path, i, "name"];
		const choice: Choice = { backend: map.name, port: map.port ?? service.port, weight: map.weight };
		const report = (message: string) => known.problems?.add("SHUNT_CONFIG_REFERENCE", at, message);
		const backend = known.backends.get(choice.backend);
		if (!known.names.has(choice.backend)) {
			const similar = nearest(choice.backend, known.names);
			const names =
				known.names.size === 0 ? "no backend is configured" : `must be one of ${[...known.names].join(", ")}`;
			const remedy = similar === undefined ? names : `did you mean ${similar}?`;
			report(`${JSON.stringify(choice.backend)} is not a backend; ${remedy}`);
		}
		const identity = `${choice.backend} ${choice.port}`;
		if (seen.has(identity)) {
			report(`${choice.backend} at port ${choice.port} is already in this list; list it once, and raise its weight`);
		}
		const via = familyOf(service.via);
		if (
			via !== null &&
			backend !== undefined &&
			!backend.addresses.some((text) => parseAddress(text)?.family === via)
		) {
			report(`${choice.backend} has no IPv${via} address, which via: ipv${via} requires; add one, or change via`);
		}
		seen.add(identity);
		choices.push(choice);
	}
	if (choices.length > 0 && choices.every(({ weight }) => weight === 0))
		known.problems?.warn(path, "every weight is 0, so new sessions find no backend; give one a weight above 0");
	return choices;
}

/** A rule's terms override the service's, field by field. */
function buildTerms(path: Path, fields: TermsFields | undefined, outer: TermsFields, problems: ProblemList): Terms {
	const term = fields?.term ?? outer.term ?? "once";
	if (fields?.lease !== undefined && term !== "leased") {
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			[...path, "lease"],
			`given with term: ${term}; only term: leased has a lease; set term: leased, or remove lease`,
		);
	}
	const clients = fields?.clients ?? outer.clients ?? false;
	if (fields?.answer !== undefined && !clients) {
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			[...path, "answer"],
			"given without clients: true; a gateway answers only clients that redirect themselves; set clients: true, or remove answer",
		);
	}
	return {
		clients,
		term,
		leaseS: term === "leased" ? ms(fields?.lease ?? outer.lease ?? "60s") / 1000 : 0,
		answer: clients ? (fields?.answer ?? outer.answer ?? "forward-and-indicate") : "forward",
	};
}

function buildProbe(
	name: string,
	fields: ServiceFields["health"]["probe"],
	all: HealthFields,
	problems: ProblemList,
): Probe | null {
	if (fields === undefined) return null;
	const report = (field: string, message: string) =>
		problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "health", "probe", field], message);
	const { type, send, sendHex, expect, expectHex, name: question = "" } = fields;
	if (send !== undefined && sendHex !== undefined) report("sendHex", "given together with send; remove one of the two");
	if (expect !== undefined && expectHex !== undefined)
		report("expectHex", "given together with expect; remove one of the two");
	if (type === "udp" && send === undefined && sendHex === undefined)
		report(
			"type",
			"udp without send; a UDP service answers a question only; give send, or a companion port with type: tcp",
		);
	const hexOf = (value: string | undefined, hex: string | undefined) =>
		value === undefined ? (hex ?? null) : Buffer.from(value).toString("hex");
	return {
		type,
		port: fields.port ?? null,
		send: hexOf(send, sendHex),
		expect: hexOf(expect, expectHex),
		name: question,
		record: fields.record,
		path: fields.path,
		host: fields.host ?? null,
		status: fields.status ?? null,
		intervalMs: ms(fields.interval),
		timeoutMs: ms(fields.timeout),
		rise: fields.rise ?? all.rise,
		fall: fields.fall ?? all.fall,
		jitter: parseShare(fields.jitter) ?? 0,
	};
}

/** A service with both protocols has a probe for the one that it asks by, and for the other one it is the same answer. */
function probeFor(protocol: "udp" | "tcp", probe: Probe | null): Probe | null {
	if (probe === null || probe.port !== null) return probe;
	const asks = probe.type === "udp" ? "udp" : probe.type === "dns" ? protocol : "tcp";
	return asks === protocol ? probe : null;
}

/** Fields that the service does not have are the cluster's. */
function buildHealth(own: ServiceFields["health"], all: HealthFields): Omit<ServiceHealth, "probe"> {
	return {
		bound: own.bound ?? all.bound,
		slowStartMs: ms(own.slowStart ?? all.slowStart),
		panic: parseShare(own.panic ?? all.panic) ?? 0,
		fail: own.fail ?? all.fail,
	};
}

function familyOf(via: "ipv4" | "ipv6" | undefined): Family | null {
	if (via === undefined) return null;
	return via === "ipv4" ? 4 : 6;
}
