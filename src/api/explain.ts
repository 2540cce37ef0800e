/**
 * `explain`: what happens to the next packet of a flow, and why.
 *
 * Owns: its sentences, in the order in which the packet program decides.
 * Must never: decide anew. The packet program's own code has decided; this names what it returned.
 */
import { PROTOCOL_NUMBER, parseAddress, type Service } from "../config/index.js";
import { spreadOf, type Target, termsText } from "../database/index.js";
import { LOCAL_TARGET, type Explanation as NativeExplanation, reasons } from "../engine/index.js";
import { ShuntError } from "../errors.js";
import type { Member } from "../member/member.js";
import { ROLE } from "../policy/index.js";
import { formatPrefix } from "../wire/index.js";
import { endpoint, Names, stateOf } from "./names.js";
import type { FlowQuery } from "./server.js";
import { periodOf, sessionOf } from "./session-list.js";
import type { Explanation, Weighed } from "./types.js";
import { rowText, weighedOf } from "./weighing.js";

/** Throws SHUNT_ADDRESS_INVALID, or SHUNT_USAGE for two address families. */
export function explain(member: Member, query: FlowQuery): Explanation {
	const source = parseAddress(query.source);
	const destination = parseAddress(query.destination);
	if (!source) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text: query.source });
	if (!destination) throw new ShuntError("SHUNT_ADDRESS_INVALID", { text: query.destination });
	if (source.family !== destination.family)
		throw new ShuntError("SHUNT_USAGE", {
			what: `${source.text} and ${destination.text} are of different address families.`,
		});
	const names = new Names(member);
	const native = member.engine.explain({
		source: source.bytes,
		sourcePort: query.sourcePort,
		destination: destination.bytes,
		destinationPort: query.destinationPort,
		protocol: PROTOCOL_NUMBER[query.protocol],
		family: source.family,
	});
	const reason = reasons()[native.reason];
	const service = names.services.get(native.service);
	const target = names.targets.get(native.target);
	const rule = ruleText(native, source.family);
	const weighed = native.choice ? weighedOf(native.choice, (id) => targetName(names, id)) : null;
	const session =
		native.session && service && !native.session.expired
			? sessionOf(names, {
					source: source.bytes,
					sourcePort: query.sourcePort,
					service: native.service,
					target: native.session.target,
					family: source.family,
					proven: native.session.proven,
					state: native.session.state,
					idleMs: native.session.idleMs,
				})
			: undefined;
	return {
		flow: { ...query, source: source.text, destination: destination.text },
		verdict: reason?.verdict ?? "drop",
		reason: reason?.name ?? "unknown",
		text: reason?.text ?? "",
		service: service ? { name: service.name, id: native.service } : null,
		rule,
		row: native.choice && native.choice.rows > 0 ? { index: native.choice.row, rows: native.choice.rows } : null,
		weighed,
		session: session ?? null,
		target: target
			? {
					backend: target.backend,
					address: target.address,
					port: target.port === 0 ? query.destinationPort : target.port,
					state: stateOf(member, target).state,
					terms: termsText(target.terms),
				}
			: null,
		why: sentences(member, names, native, { query, service, target, rule, weighed }),
	};
}

/** With its address: a backend may be several targets of a service. */
function targetName(names: Names, id: number): string {
	const target = names.targets.get(id);
	return target ? `${target.backend} at ${endpoint(target.address, target.port)}` : "a removed target";
}

/** The rule's prefix as configured: the mapped form of an IPv4 prefix is 96 bits longer. */
function ruleText(native: NativeExplanation, family: 4 | 6): string | null {
	const { prefix, prefixLength } = native.choice ?? {};
	if (prefix === undefined || prefixLength === undefined) return null;
	return formatPrefix(prefix, prefixLength, family);
}

function sentences(
	member: Member,
	names: Names,
	native: NativeExplanation,
	of: {
		query: FlowQuery;
		service: Service | undefined;
		target: Target | undefined;
		rule: string | null;
		weighed: Weighed[] | null;
	},
): string[] {
	const { query, service, target, rule, weighed } = of;
	const to = `${query.protocol} ${endpoint(query.destination, query.destinationPort)}`;
	const reason = reasons()[native.reason]?.name;
	if (reason === "direct" || reason === "uninvited")
		return [
			`${to} is this backend's own address for the service ${service?.name ?? "(removed)"}.`,
			reason === "direct"
				? "Its session is recorded, and the host's own stack gets the packet."
				: "Only clients that have proven a redirection are served (uninvited: drop); this client has not.",
		];
	if (!(native.own & ROLE.gateway))
		return [`${query.destination} is not a service address here: the host's own stack gets the packet.`];
	if (service === undefined)
		return [
			`${query.destination} is a service address, but no service is at ${to}: the host's own stack gets the packet.`,
		];
	const among =
		service.portLast > service.port ? `, whose ports are ${service.ports}; they share a client's session` : "";
	const why = [`${to} is the service ${service.name}${among}.`];
	if (native.session?.expired)
		why.push(
			`Its session has expired: idle for ${seconds(native.session.idleMs)}, longer than ${seconds(periodOf(service, native.session))}.`,
		);
	else if (native.session) {
		const holder =
			native.session.target === LOCAL_TARGET ? "this host" : names.targets.get(native.session.target)?.backend;
		why.push(`It has a session with ${holder ?? "a removed target"}, idle for ${seconds(native.session.idleMs)}.`);
	} else why.push(service.noSession ? "The service keeps no sessions." : "It has no session.");
	const stays = native.session && !native.session.expired && native.session.target === native.target;
	if (!stays && native.choice) {
		why.push(
			rule === null
				? "No rule matches its source: the service's own redirection applies."
				: `The rule for ${rule} matches its source.`,
		);
		if (native.choice.denied) why.push("That rule denies the service to it.");
		else if (native.choice.rows === 0) why.push("That redirection has no active target.");
		else if (service.noSession && service.spread === "flow")
			why.push("Each datagram is chosen by itself, by its 5-tuple and its checksum: the next may go elsewhere.");
		else why.push(rowText(spreadOf(service), native.choice.rows, native.choice.row, weighed));
		if (reason === "refused") {
			const by = native.choice.denied ? "action: refuse" : "refuse: reset";
			why.push(`The packet is refused by a TCP reset or port unreachable (${by}).`);
		}
	}
	if (target) {
		const at = endpoint(target.address, target.port === 0 ? query.destinationPort : target.port);
		const { state, health } = stateOf(member, target);
		why.push(`It goes to ${target.backend} at ${at} (${state}; ${termsText(target.terms)}).`);
		const reason = member.role.backends?.ofTarget(target).reason;
		if (health === "unhealthy") why.push(`${target.backend} is unhealthy: ${reason}.`);
		if (member.compiled?.unresolved.includes(target.address)) why.push("The next hop to it is not resolved.");
	}
	return why;
}

function seconds(ms: number): string {
	return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
