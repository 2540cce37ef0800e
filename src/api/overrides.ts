/**
 * Run-time overrides over the control socket: what is in force, what a change would move, and the change.
 *
 * Owns: names in a command, the plan, and the refusal to take the last backend of a service or rule.
 * Must never: change anything for a plan.
 */
import { type Config, drainState, type Redirection, redirectionsOf, type Service } from "../config/index.js";
import { ShuntError } from "../errors.js";
import type { Member } from "../member/member.js";
import type { OverrideChange } from "../member/overrides.js";
import { endpoint, Names } from "./names.js";
import type { OverrideCommand } from "./server.js";
import type { Overridden, OverrideStatus, PlannedRedirection } from "./types.js";

/** Throws SHUNT_OVERRIDE_UNKNOWN, SHUNT_LAST_BACKEND. */
export async function override(member: Member, command: OverrideCommand): Promise<Overridden> {
	const change = changeOf(member, command);
	const before = member.config;
	const after = member.overrides.apply(member.fileConfig, member.overrides.inForceWith(change));
	const redirections = planned(before, after, (backend) => weightPart(member, backend));
	const left = leftWithout(before, after);
	if (left.length > 0 && !command.force && !command.plan)
		throw new ShuntError("SHUNT_LAST_BACKEND", { services: left.join(", "), what: commandText(command) });
	const sessions = sessionsWith(member, command.backend);
	const fate = fateOf(after, command);
	if (command.plan) return { applied: false, epoch: member.epoch, redirections, left, sessions, fate };
	await member.override(change);
	return { applied: true, epoch: member.epoch, redirections, left, sessions, fate };
}

export function overridesOf(member: Member): OverrideStatus[] {
	const { drains, weights } = member.overrides.inForce;
	const { backends, services } = member.fileConfig;
	const now = Date.now();
	return [
		...drains.flatMap(({ backend, since, until, by }): OverrideStatus[] => {
			const configured = backends.find(({ name }) => name === backend);
			if (configured === undefined) return [];
			const state = drainState({ until }, now);
			const sessions = sessionsWith(member, backend);
			return [{ backend, service: null, state, weight: null, since, until, by, file: configured.state, sessions }];
		}),
		...weights.flatMap(({ service, backend, weight, since, by }): OverrideStatus[] => {
			const file = fileWeights(services, service, backend);
			if (file === "") return [];
			const sessions = sessionsWith(member, backend, service);
			return [{ backend, service, state: null, weight, since, until: null, by, file, sessions }];
		}),
	];
}

/** "1", or "1, 2 by rule". */
function fileWeights(services: readonly Service[], name: string, backend: string): string {
	const weights = (redirections: readonly Redirection[]) =>
		redirections.flatMap(({ choices }) => choices.filter((one) => one.backend === backend).map(({ weight }) => weight));
	const named = services.filter((one) => one.name === name);
	const own = new Set(weights(named.map(({ redirection }) => redirection)));
	const byRule = new Set(weights(named.flatMap(({ rules }) => rules.map(({ redirection }) => redirection))));
	const rules = [...byRule].filter((weight) => !own.has(weight)).map((weight) => `${weight} by rule`);
	return [...own, ...rules].join(", ");
}

function changeOf(member: Member, command: OverrideCommand): OverrideChange {
	const { kind, backend, service = "", weight, deadlineMs, transient } = command;
	const { backends, services } = member.fileConfig;
	const known = backends.map(({ name }) => name);
	if (!known.includes(backend)) throw unknown("backend", backend, "", known);
	const self = member.role.kind === "backend" ? member.role.name : undefined;
	if (self !== undefined && backend !== self)
		throw new ShuntError("SHUNT_USAGE", {
			what: `This is the backend ${self}, and ${backend} is another one; give the command at ${backend} or at each gateway.`,
		});
	if (kind === "weight") {
		const named = services.filter(({ name }) => name === service);
		const names = [...new Set(services.map(({ name }) => name))];
		if (named.length === 0) throw unknown("service", service, "", names);
		const members = named.flatMap((one) => redirectionsOf(one).flatMap(({ choices }) => choices.map((c) => c.backend)));
		if (!members.includes(backend)) throw unknown("backend", backend, ` in ${service}`, [...new Set(members)]);
		return { kind, service, backend, weight: weight ?? null };
	}
	if (kind === "undrain") return { kind, backend, transient };
	const until = deadlineMs === undefined ? null : Date.now() + deadlineMs;
	return { kind, backend, drain: { backend, until }, transient };
}

function unknown(kind: string, name: string, where: string, known: readonly string[]): ShuntError {
	return new ShuntError("SHUNT_OVERRIDE_UNKNOWN", { kind, name, where, known: known.join(", ") });
}

type Part = (backend: string) => number;

/** The redirections whose shares differ. */
function planned(before: Config, after: Config, part: Part): PlannedRedirection[] {
	return before.services.flatMap((service, i) => {
		const { name, protocol, address, port } = service;
		const next = after.services[i]!;
		return redirectionPairs(service, next).flatMap(({ rule, was, is }): PlannedRedirection[] => {
			const [old, now] = [sharesOf(before, was, part), sharesOf(after, is, part)];
			const shares = [...new Set([...old.keys(), ...now.keys()])]
				.map((backend) => ({ backend, before: old.get(backend) ?? 0, after: now.get(backend) ?? 0 }))
				.filter((one) => one.before > 0 || one.after > 0);
			if (shares.every((one) => one.before === one.after)) return [];
			return [{ service: name, protocol, address, port, rule, shares }];
		});
	});
}

/** A service's own redirection and those of its rules, before and after. */
function redirectionPairs(before: Service, after: Service) {
	const own = { rule: null as string | null, was: before.redirection, is: after.redirection };
	const rules = before.rules.map(({ from, redirection }, i) => ({
		rule: from,
		was: redirection,
		is: after.rules[i]!.redirection,
	}));
	return [own, ...rules];
}

/** Shares of new sessions by backend; a backend of several ports counts once. */
function sharesOf({ backends }: Config, { choices }: Redirection, part: Part): Map<string, number> {
	const weights = new Map<string, number>();
	for (const { backend, weight } of choices) {
		const active = backends.find(({ name }) => name === backend)?.state === "active";
		weights.set(backend, (weights.get(backend) ?? 0) + (active ? weight * part(backend) : 0));
	}
	const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
	return new Map([...weights].map(([backend, weight]) => [backend, total === 0 ? 0 : weight / total]));
}

/** An unhealthy backend has no share. */
function weightPart({ role }: Member, backend: string): number {
	return role.backends?.health(backend).health === "unhealthy" ? 0 : 1;
}

/** What has an active backend before the change, by the configured weights, and none after it. */
function leftWithout(before: Config, after: Config): string[] {
	const configured: Part = () => 1;
	const hasNone = (config: Config, redirection: Redirection) =>
		[...sharesOf(config, redirection, configured).values()].every((share) => share === 0);
	return before.services.flatMap((old, i) =>
		redirectionPairs(old, after.services[i]!).flatMap(({ rule, was, is }) => {
			if (hasNone(before, was) || !hasNone(after, is)) return [];
			const name = `${old.name} ${old.protocol} ${endpoint(old.address, old.port)}`;
			return [rule === null ? name : `${name} from ${rule}`];
		}),
	);
}

function commandText({ kind, backend, service }: OverrideCommand): string {
	return kind === "weight" ? `weight ${service} ${backend}` : `${kind} ${backend}`;
}

function fateOf(after: Config, { kind, backend, deadlineMs }: OverrideCommand): Overridden["fate"] {
	if (after.backends.find(({ name }) => name === backend)?.state === "inactive") return "choose anew";
	return kind === "drain" && deadlineMs !== undefined ? "stay until the deadline" : "stay";
}

/** This host's sessions with a backend, of one service and those that share its targets, or of all; at the backend
 * itself, all that it has. */
function sessionsWith(member: Member, backend: string, service?: string): number {
	if (member.role.kind === "backend") return member.sweep?.live ?? 0;
	const { services, targetSets } = member.snapshot;
	const named = services.filter(({ name }) => name === service);
	const sets = service === undefined ? undefined : new Set(named.map(({ key }) => targetSets?.get(key)?.name ?? key));
	const counts = member.engine.sessionCounts().targets;
	return [...new Names(member).targets].reduce(
		(sum, [id, target]) =>
			target.backend === backend && (sets?.has(target.set) ?? true) ? sum + (counts[id] ?? 0) : sum,
		0,
	);
}
