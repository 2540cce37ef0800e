// overrides.ts - what an operator has changed at run time: backends that drain, and weights. They stand beside the
// file, which they do not change.
//
// Owns: what an override makes of a configuration. A pure file: the time is an argument.
// Must never: put a backend into service that the file takes out of it.

import type { Backend, Config, Redirection, Service, State } from "./model.js";

/** A backend that gets no new session; after `until` its remaining sessions choose anew. */
export interface DrainOverride {
	readonly backend: string;
	/** Milliseconds since 1970, as `until`; null: without end. */
	readonly since: number;
	readonly until: number | null;
}

/** A backend's weight in every redirection of the services of this name. */
export interface WeightOverride {
	readonly service: string;
	readonly backend: string;
	readonly weight: number;
	readonly since: number;
}

export interface Overrides {
	readonly drains: readonly DrainOverride[];
	readonly weights: readonly WeightOverride[];
}

export const NO_OVERRIDES: Overrides = { drains: [], weights: [] };

/** The state that a drain imposes now. */
export function drainState({ until }: Pick<DrainOverride, "until">, now: number): "draining" | "inactive" {
	return until !== null && until <= now ? "inactive" : "draining";
}

/** The configuration in force. What no override names is the same object as before. */
export function withOverrides(config: Config, { drains, weights }: Overrides, now: number): Config {
	if (drains.length === 0 && weights.length === 0) return config;
	const backends = config.backends.map((backend): Backend => {
		const imposed = drains.filter((drain) => drain.backend === backend.name).map((drain) => drainState(drain, now));
		const state = imposed.reduce<State>(worse, backend.state);
		return state === backend.state ? backend : { ...backend, state };
	});
	const services = config.services.map((service) =>
		withWeights(
			service,
			weights.filter((one) => one.service === service.name),
		),
	);
	return { ...config, backends, services };
}

function withWeights(service: Service, weights: readonly WeightOverride[]): Service {
	if (weights.length === 0) return service;
	const weightOf = new Map(weights.map(({ backend, weight }) => [backend, weight]));
	/** Rules share redirections, and identity counts. */
	const changed = new Map<Redirection, Redirection>();
	const change = (redirection: Redirection): Redirection => {
		const known = changed.get(redirection);
		if (known !== undefined) return known;
		const choices = redirection.choices.map((choice) => {
			const weight = weightOf.get(choice.backend) ?? choice.weight;
			return weight === choice.weight ? choice : { ...choice, weight };
		});
		const same = choices.every((choice, i) => choice === redirection.choices[i]);
		const next = same ? redirection : { ...redirection, choices };
		changed.set(redirection, next);
		return next;
	};
	return {
		...service,
		redirection: change(service.redirection),
		rules: service.rules.map((rule) => ({ ...rule, redirection: change(rule.redirection) })),
	};
}

const RANK = { active: 0, draining: 1, inactive: 2 } as const satisfies Record<State, number>;

function worse(a: State, b: State): State {
	return RANK[b] > RANK[a] ? b : a;
}
