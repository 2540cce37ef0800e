// services.ts - the services of a configuration: one per family and protocol, with rules, terms and backends resolved.
//
// Owns: what a service's fields mean together. Must never: stop at a problem (see build.ts).

import { strategyOf } from "../policy/strategy/index.js";
import { parseAddress, parsePrefix } from "./address.js";
import type { Backend, Choice, Family, Redirection, Rule, Service, Terms } from "./model.js";
import { serviceKey } from "./model.js";
import type { Path, ProblemList } from "./problems.js";
import { ms } from "./quantities.js";
import { type ChoiceFields, list, type ServiceFields, type TermsFields } from "./schema.js";
import { copiedServiceFields } from "./service-fields.js";
import { nearest } from "./suggest.js";

/** tables.h: SH_PREFIX_LENGTHS */
const MAX_PREFIX_LENGTHS = 16;

interface Known {
	/** Backends of the right shape. */
	readonly backends: ReadonlyMap<string, Backend>;
	/** All names, also of those whose shape is wrong. */
	readonly names: ReadonlySet<string>;
	readonly problems: ProblemList;
}

export function buildServices(
	entries: Iterable<[string, ServiceFields]>,
	backends: ReadonlyMap<string, Backend>,
	names: ReadonlySet<string>,
	problems: ProblemList,
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
		const many = Array.isArray(fields.address);
		for (const [i, text] of list(fields.address).entries()) {
			const address = parseAddress(text);
			if (address === undefined) continue;
			const path: Path = many ? ["services", name, "address", i] : ["services", name, "address"];
			const owner = ownerOfAddress.get(address.text);
			if (owner !== undefined) {
				const message = `is ${address.text}, which is the own address of backend ${owner}; a service needs an address that no single backend owns`;
				problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			}
			for (const protocol of new Set(list(fields.protocol))) {
				const key = serviceKey(protocol, address.text, fields.port);
				const other = holder.get(key);
				if (other !== undefined) {
					const whose = other === name ? "this service already" : `service ${other}`;
					const message = `${address.text} with ${protocol} port ${fields.port} is taken by ${whose}; address, port and protocol together name one service`;
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
					idleMs: ms(fields.idle),
					idleSentMs: ms(fields.idleSent ?? fields.idle),
					count: fields.count,
					spread: strategyOf(fields.choose).spread ?? fields.spread,
					choose: fields.choose,
					via: familyOf(fields.via),
					invitedOnly: fields.uninvited === "drop",
					redirection,
					rules: rules.get(address.family) ?? [],
				});
			}
		}
	}
	checkWayBack(services, problems);
	return services;
}

/** A backend's answers leave from the service's address and the port it has there: that must tell which port clients know. */
function checkWayBack(services: readonly Service[], problems: ProblemList): void {
	const known = new Map<string, Service>();
	const told = new Set<string>();
	for (const service of services) {
		const redirections = [service.redirection, ...service.rules.map((rule) => rule.redirection)];
		for (const { backend, port } of redirections.flatMap((redirection) => redirection.choices)) {
			const from = `${backend} ${serviceKey(service.protocol, service.address, port)}`;
			const other = known.get(from) ?? service;
			known.set(from, other);
			if (other.port === service.port || told.has(from)) continue;
			told.add(from);
			problems.add(
				"SHUNT_CONFIG_REFERENCE",
				["services", service.name, "backends"],
				`give ${service.address} port ${port} at ${backend} to ${service.protocol} port ${service.port} here and to port ${other.port} of service ${other.name}; the answers from there could be either's, so one of them needs another port`,
			);
		}
	}
}

function checkProtocols(name: string, fields: ServiceFields, problems: ProblemList): void {
	const protocols = list(fields.protocol);
	for (const [i, protocol] of protocols.entries()) {
		if (protocols.indexOf(protocol) < i) {
			problems.add(
				"SHUNT_CONFIG_REFERENCE",
				["services", name, "protocol", i],
				`is ${protocol} for the second time; name each protocol once`,
			);
		}
	}
}

/** The rules of a service by family, longest prefix first. */
function buildRules(name: string, fields: ServiceFields, known: Known): ReadonlyMap<Family, Rule[]> {
	const { problems } = known;
	const families = new Set(list(fields.address).map((text) => parseAddress(text)?.family));
	const rules = new Map<Family, (Rule & { length: number })[]>();
	const seen = new Map<string, string>();
	for (const [i, rule] of fields.sources.entries()) {
		const base: Path = ["services", name, "sources", i];
		if (rule.backends === undefined && rule.redirect === undefined) {
			problems.add("SHUNT_CONFIG_REFERENCE", base, "changes nothing; a rule needs backends, or redirect, or both");
		}
		const redirection: Redirection = {
			choices:
				rule.backends === undefined
					? buildChoices(["services", name, "backends"], fields.backends, fields, { ...known, problems: undefined })
					: buildChoices([...base, "backends"], rule.backends, fields, known),
			terms: buildTerms([...base, "redirect"], rule.redirect, fields.redirect ?? {}, problems),
		};
		for (const [j, text] of list(rule.from).entries()) {
			const path: Path = Array.isArray(rule.from) ? [...base, "from", j] : [...base, "from"];
			const prefix = parsePrefix(text);
			if (prefix === undefined) continue;
			if (!families.has(prefix.family)) {
				const message = `is ${text}, an IPv${prefix.family} prefix, but the service has no IPv${prefix.family} address`;
				problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			}
			const before = seen.get(prefix.text);
			if (before !== undefined) {
				problems.add(
					"SHUNT_CONFIG_REFERENCE",
					path,
					`is ${prefix.text}, which ${before} names already; each prefix may stand once in a service`,
				);
			}
			seen.set(prefix.text, `sources[${i}]`);
			const ofFamily = rules.get(prefix.family) ?? [];
			ofFamily.push({ from: prefix.text, redirection, length: prefix.length });
			rules.set(prefix.family, ofFamily);
		}
	}
	for (const [family, ofFamily] of rules) {
		const lengths = new Set(ofFamily.map((rule) => rule.length));
		if (lengths.size > MAX_PREFIX_LENGTHS) {
			const message = `has IPv${family} prefixes of ${lengths.size} different lengths; a service may have ${MAX_PREFIX_LENGTHS}`;
			problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "sources"], message);
		}
		ofFamily.sort((a, b) => b.length - a.length);
	}
	return new Map(
		[...rules].map(([family, of]) => [family, of.map(({ from, redirection }) => ({ from, redirection }))]),
	);
}

function buildChoices(
	path: Path,
	fields: readonly ChoiceFields[],
	service: ServiceFields,
	known: Omit<Known, "problems"> & { readonly problems: ProblemList | undefined },
): Choice[] {
	const choices: Choice[] = [];
	for (const [i, field] of fields.entries()) {
		const written: Exclude<ChoiceFields, string> = typeof field === "string" ? { name: field, weight: 1 } : field;
		const at: Path = typeof field === "string" ? [...path, i] : [...path, i, "name"];
		const choice: Choice = { backend: written.name, port: written.port ?? service.port, weight: written.weight };
		const complain = (message: string) => known.problems?.add("SHUNT_CONFIG_REFERENCE", at, message);
		const backend = known.backends.get(choice.backend);
		if (!known.names.has(choice.backend)) {
			const meant = nearest(choice.backend, known.names);
			const names =
				known.names.size === 0 ? "there are none at all" : `the backends are ${[...known.names].join(", ")}`;
			const advice = meant === undefined ? names : `did you mean ${meant}?`;
			complain(`is ${JSON.stringify(choice.backend)}, and there is no such backend; ${advice}`);
		}
		if (choices.some((other) => other.backend === choice.backend && other.port === choice.port)) {
			complain(`is ${choice.backend} for the second time; raise its weight instead`);
		}
		const via = familyOf(service.via);
		if (
			via !== null &&
			backend !== undefined &&
			!backend.addresses.some((text) => parseAddress(text)?.family === via)
		) {
			complain(`is ${choice.backend}, which has no IPv${via} address, but the service says via: ipv${via}`);
		}
		choices.push(choice);
	}
	return choices;
}

/** A rule's terms stand over the service's, field by field. */
function buildTerms(path: Path, fields: TermsFields | undefined, around: TermsFields, problems: ProblemList): Terms {
	const term = fields?.term ?? around.term ?? "once";
	if (fields?.lease !== undefined && term !== "leased") {
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			[...path, "lease"],
			`stands beside term: ${term}; only term: leased has a lease`,
		);
	}
	const clients = fields?.clients ?? around.clients ?? false;
	if (fields?.answer !== undefined && !clients) {
		problems.add(
			"SHUNT_CONFIG_REFERENCE",
			[...path, "answer"],
			"stands without clients: true; a gateway answers no clients but those that redirect themselves",
		);
	}
	return {
		clients,
		term,
		leaseS: term === "leased" ? ms(fields?.lease ?? around.lease ?? "60s") / 1000 : 0,
		answer: clients ? (fields?.answer ?? around.answer ?? "forward-and-indicate") : "forward",
	};
}

function familyOf(via: "ipv4" | "ipv6" | undefined): Family | null {
	if (via === undefined) return null;
	return via === "ipv4" ? 4 : 6;
}
