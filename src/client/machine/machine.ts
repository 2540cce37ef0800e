// machine.ts - the redirecting client's state machine for one flow to one service (docs/protocol.md, section 8).
//
// state.ts defines the states, events.ts the events and effects; path.ts, query.ts and trial.ts hold the transitions of
// each region, redirect.ts, signals.ts and time.ts the handling of each event.
//
// Owns: every decision of the client. Must never: touch a socket, a clock or a source of random numbers. Time and
// random numbers come in with each event; what is to be done goes out as effects, in order.

import { type Endpoint, type Header, sameEndpoint } from "../../wire/index.js";
import { ServiceCache, type Term } from "../cache.js";
import type { Counters, Effect, MachineEvent, Route, Turn } from "./events.js";
import { onPathReply } from "./path.js";
import { onRedirect } from "./redirect.js";
import { completeSettings, type Settings } from "./settings.js";
import { onProbeAck, onRefusal, onReply, onRevoke, onSuspicion } from "./signals.js";
import { AT_GATEWAY, type Bound, FlowState, NO_QUERY, NO_TRIAL, type StateName, Step } from "./state.js";
import { advance, nextDue, onDatagram } from "./time.js";

/** How soon a held datagram is routed again while another flow's query is open. */
const RECHECK_MS = 20;

const NO_EFFECTS: readonly Effect[] = [];

type Handlers = {
	readonly [T in MachineEvent["type"]]: (step: Step, event: Extract<MachineEvent, { type: T }>) => void;
};

const HANDLERS: Handlers = {
	datagram: onDatagram,
	control(step, { header, from }) {
		if (header.type === "redirect") onRedirect(step, header, from);
		else if (header.type === "probe-ack") onProbeAck(step, header, from);
		else if (header.type === "revoke") onRevoke(step, header, from);
		else step.flow.counters.ignoredType++;
	},
	reply: (step, { from }) => onReply(step, from),
	refusal: (step, { at }) => onRefusal(step, at),
	suspicion: (step, { at }) => onSuspicion(step, at),
	time({ flow, now }) {
		if (now >= flow.recheckAt) flow.recheckAt = Infinity;
	},
};

export class Machine {
	readonly #flow: FlowState;

	constructor(service: Endpoint, settings: Partial<Settings> = {}, cache = new ServiceCache()) {
		this.#flow = new FlowState(service, completeSettings(settings), cache);
	}

	/** Handles one event. The effects are to be carried out in order. */
	dispatch({ now, random }: Turn, event: MachineEvent): Effect[] {
		const step = new Step(this.#flow, now, random);
		advance(step);
		if (this.settings.mode !== "off") (HANDLERS[event.type] as (step: Step, event: MachineEvent) => void)(step, event);
		return step.effects;
	}

	/** The event "datagram", and where the datagram goes. */
	route(turn: Turn): Route {
		const flow = this.#flow;
		const { mode } = flow.settings;
		if (mode === "off") return { go: "send", to: flow.service, effects: [] };
		const quiet = this.#quietPath(turn.now);
		if (quiet?.used) {
			if (quiet.unansweredSince === undefined) flow.path = { ...quiet, unansweredSince: turn.now };
			flow.counters.toTarget++;
			return { go: "send", to: quiet.binding.target, effects: NO_EFFECTS };
		}
		const effects = this.dispatch(turn, { type: "datagram" });
		if (flow.path.state !== "gateway") {
			flow.counters.toTarget++;
			return { go: "send", to: flow.path.binding.target, effects };
		}
		if (mode === "required") {
			const hold = flow.busy || flow.otherQueries;
			if (!flow.busy && hold) flow.recheckAt = turn.now + RECHECK_MS;
			return { go: hold ? "hold" : "refuse", effects };
		}
		flow.counters.toGateway++;
		return { go: "send", to: flow.service, effects };
	}

	/** Where a datagram goes that the gateway has returned with a redirect (X): to the target, also one on trial,
	 * because the gateway has not forwarded it; undefined if there is none. */
	replay({ now }: Turn): Endpoint | undefined {
		const flow = this.#flow;
		const { path, trial } = flow;
		const binding = trial.state !== "none" ? trial.binding : path.state !== "gateway" ? path.binding : undefined;
		if (binding === undefined || now >= binding.until || flow.cache.isBarred(binding.target, now)) return undefined;
		if (trial.state !== "none") flow.trial = { ...trial, replayed: true };
		flow.counters.toTarget++;
		return binding.target;
	}

	receive(turn: Turn, header: Header, from: Endpoint): Effect[] {
		return this.dispatch(turn, { type: "control", header, from });
	}

	reply(turn: Turn, from: Endpoint): readonly Effect[] {
		const quiet = this.#quietPath(turn.now);
		if (quiet !== undefined && sameEndpoint(quiet.binding.target, from)) {
			onPathReply(this.#flow, quiet);
			return NO_EFFECTS;
		}
		return this.dispatch(turn, { type: "reply", from });
	}

	/** The bound path, if an event that concerns only it changes nothing else: as a rule. It saves most of what an
	 * exchange costs. */
	#quietPath(now: number): Bound | undefined {
		const flow = this.#flow;
		const { path, query, trial, cache } = flow;
		if (path.state !== "bound" || query.state !== "none" || trial.state !== "none") return undefined;
		if (cache.barred.size > 0 || now < flow.lastNow || now >= nextDue(flow)) return undefined;
		cache.adjustClock(now);
		flow.lastNow = now;
		return path;
	}

	refused(turn: Turn, at: Endpoint): Effect[] {
		return this.dispatch(turn, { type: "refusal", at });
	}

	suspect(turn: Turn, at: Endpoint): Effect[] {
		return this.dispatch(turn, { type: "suspicion", at });
	}

	tick(turn: Turn): Effect[] {
		return this.dispatch(turn, { type: "time" });
	}

	/** The flow has ended. */
	close(): void {
		const flow = this.#flow;
		flow.path = AT_GATEWAY;
		flow.query = NO_QUERY;
		flow.trial = NO_TRIAL;
		flow.recheckAt = Infinity;
	}

	state(now: number): StateName {
		return this.#flow.name(now);
	}

	/** When tick() has something to do. */
	get due(): number {
		return nextDue(this.#flow);
	}

	/** The target that datagrams go to; undefined: they go to the gateway. */
	get target(): Endpoint | undefined {
		const { path } = this.#flow;
		return path.state === "gateway" ? undefined : path.binding.target;
	}

	/** The end of the binding. */
	get until(): number | undefined {
		const { path } = this.#flow;
		return path.state === "gateway" ? undefined : path.binding.until;
	}

	/** The terms of the binding, or of the one on trial. */
	get term(): Term | undefined {
		const { path, trial } = this.#flow;
		if (trial.state !== "none") return trial.binding.term;
		return path.state === "gateway" ? undefined : path.binding.term;
	}

	/** A query or a trial is open. */
	get busy(): boolean {
		return this.#flow.busy;
	}

	/** Whether an answer with this nonce concerns this flow: its query, its trial or its binding. */
	concerns(nonce: bigint): boolean {
		const { path, trial } = this.#flow;
		if (this.expects(nonce)) return true;
		if (trial.state !== "none" && trial.binding.ticket.nonce === nonce) return true;
		return path.state !== "gateway" && path.binding.ticket.nonce === nonce;
	}

	/** Whether a redirect with this nonce would answer the query that is open. */
	expects(nonce: bigint): boolean {
		const { query } = this.#flow;
		return query.state !== "none" && query.header.nonce === nonce;
	}

	get service(): Endpoint {
		return this.#flow.service;
	}

	get settings(): Settings {
		return this.#flow.settings;
	}

	get cache(): ServiceCache {
		return this.#flow.cache;
	}

	get counters(): Counters {
		return this.#flow.counters;
	}
}
