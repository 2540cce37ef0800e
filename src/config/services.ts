// services.ts - the services of a configuration: one per family and protocol, with rules, terms and backends resolved.
//
// Owns: the checks and defaults among a service's fields. Must never: stop at a problem (see build.ts).

import { strategyOf } from "../policy/strategy/index.js";
import { holdsAddress, parseAddress, parsePrefixes, parseServiceAddress } from "./address.js";
import { list } from "./field-types.js";
import type { Backend, Choice, Family, Redirection, Rule, Service, Terms } from "./model.js";
import { serviceKey } from "./model.js";
import { checkOwnPorts, type OwnPorts, warnOfOwnAddresses } from "./own-ports.js";
import { areMany, isAny, portsText } from "./ports.js";
import type { Path, ProblemList } from "./problems.js";
import { ms } from "./quantities.js";
import type { ChoiceFields, HealthFields, ServiceFields, TermsFields } from "./schema.js";
import { copiedServiceFields } from "./service-fields.js";
import { buildHealth, buildProbe, probeFor } from "./service-health.js";
import { checkPorts, portFiller, portsOf } from "./service-ports.js";
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
			deny: null,
		};
		checkProtocols(name, fields, problems);
		checkSession(name, fields, problems);
		checkAnyPort(name, fields, problems);
		checkMptcp(name, fields, problems);
		const probe = buildProbe(name, fields, health, problems);
		checkOwnPorts(name, fields, ownPorts, problems);
		warnOfOwnAddresses(name, fields, ownPorts, problems);
		const many = Array.isArray(fields.address);
		const allPorts = portsOf(fields);
		const withPort = portFiller(allPorts.length > 1);
		for (const [i, text] of list(fields.address).entries()) {
			const address = parseServiceAddress(text);
			if (address === undefined) continue;
			const path: Path = many ? ["services", name, "address", i] : ["services", name, "address"];
			const owner =
				address.length === 128
					? ownerOfAddress.get(address.text)
					: [...ownerOfAddress].find(([own]) => holdsAddress(address, parseAddress(own)!.bytes))?.[1];
			if (owner !== undefined) {
				const what = address.length === 128 ? "is the" : "holds an";
				const message = `${address.text} ${what} address of backend ${owner}; a service needs addresses that no backend has`;
				problems.add("SHUNT_CONFIG_REFERENCE", path, message);
			}
			for (const protocol of new Set(list(fields.protocol))) {
				for (const ports of allPorts) {
					const key = serviceKey(protocol, address.text, portsText(ports));
					const other = holder.get(key);
					if (other !== undefined) {
						const where = other === name ? "listed twice in this service" : `already used by service ${other}`;
						const message = `${address.text} with ${protocol} port ${portsText(ports)} is ${where}; address, protocol and port identify one service`;
						problems.add("SHUNT_CONFIG_REFERENCE", path, message);
					}
					holder.set(key, name);
					services.push({
						key,
						name,
						address: address.text,
						addressLength: address.length,
						family: address.family,
						protocol,
						...copiedServiceFields({ ...fields, port: ports.first }),
						portLast: ports.last,
						ports: portsText(ports),
						...periods(protocol, fields),
						count: fields.count,
						spread: strategyOf(fields.choose).spread ?? fields.spread,
						choose: fields.choose,
						via: familyOf(fields.via),
						health: buildHealth(fields.health, health, probeFor(protocol, probe)),
						noSession: fields.session === "none",
						invitedOnly: fields.uninvited === "drop",
						mptcp: protocol === "tcp" && (fields.redirect?.mptcp ?? false),
						refusesSilently: fields.refuse === "silent",
						...withPort(ports, redirection, rules.get(address.family) ?? []),
					});
				}
			}
		}
	}
	checkPorts(services, problems);
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
		idleSentMs: fields.session === "none" ? 0 : fields.idleSent === undefined ? idleMs : ms(fields.idleSent),
	};
}

/** What a service of any port cannot do: its backends listen at ports that Shunt does not know. */
function checkAnyPort(name: string, fields: ServiceFields, problems: ProblemList): void {
	if (!portsOf(fields).some(isAny)) return;
	const why = "given with port: any, whose clients send to the gateway; write a range of ports, or remove it";
	refuseRedirects(name, fields, why, problems);
}

function checkMptcp(name: string, fields: ServiceFields, problems: ProblemList): void {
	if (fields.redirect?.mptcp !== true) return;
	const report = (message: string) =>
		problems.add("SHUNT_CONFIG_REFERENCE", ["services", name, "redirect", "mptcp"], message);
	if (!list(fields.protocol).includes("tcp"))
		report("true is given for a service without protocol tcp, which MPTCP is a part of; remove it, or add tcp");
	if (fields.uninvited === "drop")
		report(
			"true is given with uninvited: drop, by which backends drop the direct subflow of an MPTCP client; remove one of the two",
		);
	if (portsOf(fields).some(isAny))
		report("true is given with port: any, whose clients send to the gateway; write a range of ports, or remove it");
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

/** Without records there is nothing that a connection, a lease or a source's load could be held by. */
function checkSession(name: string, fields: ServiceFields, problems: ProblemList): void {
	if (fields.session !== "none") return;
	const report = (path: Path, message: string) => problems.add("SHUNT_CONFIG_REFERENCE", path, message);
	if (list(fields.protocol).includes("tcp")) {
		const message = "none is given with protocol tcp, whose connections need their backend; write protocol: udp";
		report(["services", name, "session"], message);
	}
	const why = "given with session: none, and a redirected client keeps to one backend; remove one";
	refuseRedirects(name, fields, why, problems);
}

/** Of the service itself and of its rules: none may redirect clients. */
function refuseRedirects(name: string, fields: ServiceFields, why: string, problems: ProblemList): void {
	const redirects: [Path, TermsFields | undefined][] = [[["services", name, "redirect"], fields.redirect]];
	for (const [i, rule] of fields.sources.entries())
		redirects.push([["services", name, "sources", i, "redirect"], rule.redirect]);
	for (const [path, redirect] of redirects)
		if (redirect?.clients === true) problems.add("SHUNT_CONFIG_REFERENCE", [...path, "clients"], `true is ${why}`);
}

/** The rules of a service by family, longest prefix first. */
function buildRules(name: string, fields: ServiceFields, known: Known): ReadonlyMap<Family, Rule[]> {
	const { problems } = known;
	const families = new Set(list(fields.address).map((text) => parseServiceAddress(text)?.family));
	const rules = new Map<Family, (Rule & { length: number })[]>();
	const own = buildChoices(["services", name, "backends"], fields.backends, fields, { ...known, problems: undefined });
	const shared = new Map<string, Redirection>();
	/** Of rules that only name backends: most of many rules name the same few. */
	const byNames = new Map<string, Redirection>();
	const seen = new Map<string, string>();
	for (const [i, rule] of fields.sources.entries()) {
		const base: Path = ["services", name, "sources", i];
		if (rule.backends === undefined && rule.redirect === undefined && rule.action === undefined) {
			const message = "the rule changes nothing; must have backends, redirect, both, or an action";
			problems.add("SHUNT_CONFIG_REFERENCE", base, message);
		}
		const deny = rule.action === undefined || rule.action === "allow" ? null : rule.action;
		for (const field of ["backends", "redirect"] as const) {
			if (deny === null || rule[field] === undefined) continue;
			const message = `given with action: ${deny}, by which these sources have no backend; remove one of the two`;
			problems.add("SHUNT_CONFIG_REFERENCE", [...base, field], message);
		}
		const names = deny === null ? backendNamesOf(rule) : undefined;
		let redirection = names === undefined ? undefined : byNames.get(names);
		if (redirection === undefined) {
			const reported = problems.list.length;
			const terms = buildTerms([...base, "redirect"], rule.redirect, fields.redirect ?? {}, problems);
			const choices =
				deny !== null
					? []
					: rule.backends === undefined
						? own
						: buildChoices([...base, "backends"], rule.backends, fields, known);
			// Equal redirections are one object, so that what follows from it is computed once.
			const identity = JSON.stringify([terms, choices, deny]);
			redirection = shared.get(identity) ?? { choices, terms, deny };
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
		const ports = portsOf(service);
		const one = ports.length === 1 && !areMany(ports[0]!);
		const own = one ? ports[0]!.first : 0; // of a list, each service gets its own (withPort)
		const choice: Choice = { backend: map.name, port: map.port ?? own, weight: map.weight };
		const report = (message: string) => known.problems?.add("SHUNT_CONFIG_REFERENCE", at, message);
		if (map.port !== undefined && !one && ports.length > 0)
			known.problems?.add(
				"SHUNT_CONFIG_REFERENCE",
				[...path, i, "port"],
				`${map.port} is given for a service of several ports, which are the same at its backends; remove it, or divide the service`,
			);
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

function familyOf(via: "ipv4" | "ipv6" | undefined): Family | null {
	if (via === undefined) return null;
	return via === "ipv4" ? 4 : 6;
}
