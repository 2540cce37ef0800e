// machine.ts - the redirecting client's state machine, for one flow's way to one service (docs/protocol.md, section 8).
//
//   idle → asking → probing → bound → failing → …, and plain or staying where the service is left with its gateway.
//
// Underneath these names stand three things that can be there at once: a binding (where datagrams go), a question to the
// gateway (a capability, or a failure), and a candidate that is being probed. That is make before break: a lease is renewed,
// and a new target tried, while the old one is in use.
//
// Owns: every decision of the client. Must never: touch a socket, a clock or a source of random numbers: time and numbers come
// in with each call, and what is to be done goes out as actions, in order. A datagram's way is decided once, by route().

import { capability, FLAG, type Header, isMapped } from "../wire/index.js";
import { type Endpoint, endpointOf, type Prefix, permitted, same } from "./endpoint.js";
import { type Binding, Memory, type Term } from "./memory.js";

export type Mode = "off" | "preferred" | "required";
export type State = "idle" | "asking" | "probing" | "bound" | "failing" | "plain" | "staying";
export type Cause = "refused" | "silent";
/** Why the gateway's answer was not followed. */
export type Declined = "not-expected" | "forbidden" | "limit" | "ended";

/** One call's time, in milliseconds since 1970, and a source of 64 random bits. */
export interface Turn {
	readonly now: number;
	random(): bigint;
}

export interface Settings {
	readonly mode: Mode;
	/** Where the service's gateway takes questions: the control port, or the service's own. */
	readonly controlPort: number;
	/** Prefixes that targets may be in; undefined: any that needs no listing. */
	readonly targets: readonly Prefix[] | undefined;
	/** Of `issued`, to either side. */
	readonly window: number;
	/** A permanent redirection's time, at most 24 h. */
	readonly permanent: number;
	/** After each question, how long its answer is waited for. */
	readonly questions: readonly number[];
	readonly probes: readonly number[];
	/** How long "no capability here" is remembered. */
	readonly plain: number;
	readonly bar: number;
	readonly barMost: number;
	/** At most 5. */
	readonly redirections: number;
	/** In which so many redirections are too many, and for which the service then stays with its gateway. */
	readonly stay: number;
	/** How long a target that is sent to may be silent before it is probed. */
	readonly silence: number;
}

export const SETTINGS: Settings = {
	mode: "preferred",
	controlPort: 3575,
	targets: undefined,
	window: 30_000,
	permanent: 86_400_000,
	questions: [250, 500, 1000],
	probes: [100, 120, 150],
	plain: 600_000,
	bar: 30_000,
	barMost: 300_000,
	redirections: 5,
	stay: 300_000,
	silence: 200,
};

export type MachineEvent =
	| { readonly name: "redirect"; readonly target: Endpoint; readonly previous?: Endpoint; readonly term: Term }
	| { readonly name: "failover"; readonly target: Endpoint; readonly cause: Cause }
	| {
			readonly name: "lease";
			readonly target: Endpoint;
			readonly change: "granted" | "renewed" | "ended" | "revoked";
			readonly until: number;
	  }
	| { readonly name: "plain"; readonly why: "no-capability" | Declined; readonly until: number };

export type Action =
	/** A control datagram to the gateway, padded, from the flow's own port. */
	| { readonly do: "ask"; readonly to: Endpoint; readonly header: Header }
	/** A control datagram to a target, from a socket that hears of its refusal. */
	| { readonly do: "probe"; readonly to: Endpoint; readonly header: Header }
	/** From now on answers of this target are the service's. */
	| { readonly do: "bind"; readonly target: Endpoint }
	| { readonly do: "unbind"; readonly target: Endpoint }
	/** What was sent to this target lately, and was not answered, may be sent again by route(). */
	| { readonly do: "resend"; readonly target: Endpoint; readonly cause: Cause }
	| { readonly do: "tell"; readonly event: MachineEvent };

/** Where a datagram goes: now to `to`, later (ask again after the next action), or nowhere (mode required). */
export type Route =
	| { readonly go: "send"; readonly to: Endpoint; readonly actions: readonly Action[] }
	| { readonly go: "hold" | "refuse"; readonly actions: readonly Action[] };

export const COUNTERS = [
	"toGateway",
	"toTarget",
	"questions",
	"failures",
	"probes",
	"redirects",
	"renewals",
	"acks",
	"revokes",
	"failovers",
	"leasesEnded",
	"ignoredNonce",
	"ignoredAnswered",
	"ignoredSource",
	"ignoredWindow",
	"ignoredType",
	"declinedForbidden",
	"declinedBarred",
	"declinedLimit",
	"declinedEnded",
	"declinedNotExpected",
] as const;
export type Counters = Record<(typeof COUNTERS)[number], number>;

interface Probing {
	sent: number;
	due: number;
}

interface Bound extends Binding {
	renewAt: number;
	/** Since it was given or renewed last, a datagram has gone there. */
	used: boolean;
	/** When the first datagram went there that no sign of life has followed. */
	unanswered: number | undefined;
	/** How many times `silence` it may be silent: doubled by each probe that is answered where nothing else is, as of a service that
	 * takes and never answers. */
	calm: number;
	watch: Probing | undefined;
}

interface Candidate extends Binding {
	probing: Probing;
	/** A returned datagram was replayed there, so that a reply may come. */
	replayed: boolean;
}

interface Question {
	readonly kind: "ask" | "renew" | "failure";
	readonly header: Header;
	sent: number;
	due: number;
}

const MOST_CALM = 32;
const TERMS = FLAG.permanent | FLAG.once | FLAG.leased;

export class Machine {
	readonly service: Endpoint;
	readonly settings: Settings;
	readonly memory: Memory;
	readonly counters = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counters;
	#binding: Bound | undefined;
	#candidate: Candidate | undefined;
	#question: Question | undefined;
	/** Nonces that have had their answer, the latest last. */
	#answered: bigint[] = [];
	/** When once-redirections were taken: they are this flow's alone. */
	#once: number[] = [];
	#last = Number.NEGATIVE_INFINITY;
	#lookAgain = Infinity;
	#out: Action[] = [];

	constructor(service: Endpoint, settings: Partial<Settings> = {}, memory = new Memory()) {
		this.service = service;
		const all = { ...SETTINGS, ...settings };
		this.settings = {
			...all,
			permanent: Math.min(all.permanent, SETTINGS.permanent),
			redirections: Math.min(all.redirections, SETTINGS.redirections),
		};
		this.memory = memory;
	}

	state(now: number): State {
		if (this.#binding !== undefined && now < this.#binding.until) return "bound";
		if (this.#candidate !== undefined) return "probing";
		if (this.#question !== undefined) return this.#question.kind === "failure" ? "failing" : "asking";
		if (this.memory.stayUntil > now) return "staying";
		if (this.memory.plainUntil > now) return "plain";
		return "idle";
	}

	/** What datagrams go to, if they go to a target. */
	get target(): Endpoint | undefined {
		return this.#binding?.target;
	}

	get until(): number | undefined {
		return this.#binding?.until;
	}

	/** When tick() has something to do. */
	get due(): number {
		const { silence } = this.settings;
		let due = Math.min(this.#lookAgain, this.#question?.due ?? Infinity, this.#candidate?.probing.due ?? Infinity);
		const binding = this.#binding;
		if (binding === undefined) return due;
		due = Math.min(due, binding.until, binding.watch?.due ?? Infinity);
		if (binding.used && this.#question === undefined) due = Math.min(due, binding.renewAt);
		if (this.#mayWatch(binding)) due = Math.min(due, (binding.unanswered as number) + silence * binding.calm);
		return due;
	}

	/** One datagram of the application: where it goes. */
	route(turn: Turn): Route {
		const { mode } = this.settings;
		if (mode === "off") return { go: "send", to: this.service, actions: [] };
		this.#begin(turn);
		this.#seek(turn);
		const binding = this.#binding;
		if (binding !== undefined) {
			binding.used = true;
			binding.unanswered ??= turn.now;
			if (turn.now >= binding.renewAt && this.#question === undefined) this.#renewal(turn, binding);
			this.counters.toTarget++;
			return { go: "send", to: (this.#binding ?? binding).target, actions: this.#end() };
		}
		if (mode === "required") {
			const held = this.busy || this.#otherAsks;
			if (!this.busy && held) this.#lookAgain = turn.now + 20;
			return { go: held ? "hold" : "refuse", actions: this.#end() };
		}
		this.counters.toGateway++;
		return { go: "send", to: this.service, actions: this.#end() };
	}

	/** A datagram that came back with a redirect (X): to the target, tried or not, since the gateway has not forwarded it;
	 * or undefined, where there is none. */
	replay({ now }: Turn): Endpoint | undefined {
		const one = this.#candidate ?? this.#binding;
		if (one === undefined || now >= one.until || this.memory.isBarred(one.target, now)) return undefined;
		if (one === this.#candidate) this.#candidate.replayed = true;
		this.counters.toTarget++;
		return one.target;
	}

	/** The flow is at its end. */
	close(): void {
		this.#question = this.#candidate = this.#binding = undefined;
		this.#lookAgain = Infinity;
	}

	/** Whether a redirect with this nonce speaks of a question of ours, answered or not. */
	knows(nonce: bigint): boolean {
		return this.#question?.header.nonce === nonce || this.#answered.includes(nonce);
	}

	/** Whether a redirect with this nonce would be the answer to the question that is open now. */
	expects(nonce: bigint): boolean {
		return this.#question?.header.nonce === nonce;
	}

	/** A control datagram's header. */
	receive(turn: Turn, header: Header, from: Endpoint): Action[] {
		this.#begin(turn);
		if (this.settings.mode === "off") return this.#end();
		if (header.type === "redirect") this.#redirect(turn, header, from);
		else if (header.type === "probe-ack") this.#ack(turn, header, from);
		else if (header.type === "revoke") this.#revoke(turn, header, from);
		else this.counters.ignoredType++;
		return this.#end();
	}

	/** A datagram of the application's came from there. */
	heard(turn: Turn, from: Endpoint): Action[] {
		this.#begin(turn);
		const candidate = this.#candidate;
		if (candidate?.replayed && same(candidate.target, from)) this.#bind(turn, candidate);
		else if (this.#binding !== undefined && same(this.#binding.target, from)) {
			this.#binding.calm = 1;
			this.#alive(this.#binding);
		}
		return this.#end();
	}

	/** Something says that nothing there takes what was sent, and whoever has guessed two ports can say so. The target is asked: if it is
	 * gone, its host refuses the probe, from a port that nobody knows (RFC 5927). */
	suspect(turn: Turn, at: Endpoint): Action[] {
		this.#begin(turn);
		const binding = this.#binding;
		if (
			binding !== undefined &&
			same(binding.target, at) &&
			binding.watch === undefined &&
			this.#question === undefined
		) {
			binding.watch = { sent: 0, due: turn.now };
			this.#probe(turn, binding, binding.watch);
		}
		return this.#end();
	}

	/** ICMP said that nothing there takes the probe, or the host could not send it. */
	refused(turn: Turn, at: Endpoint): Action[] {
		this.#begin(turn);
		if (this.#candidate !== undefined && same(this.#candidate.target, at)) this.#fail(turn, this.#candidate, "refused");
		else if (this.#binding !== undefined && same(this.#binding.target, at)) this.#fail(turn, this.#binding, "refused");
		else if (this.#question !== undefined && same(at, this.#control)) this.#unanswered(turn);
		return this.#end();
	}

	/** What time alone brings about. */
	tick(turn: Turn): Action[] {
		this.#begin(turn);
		if (turn.now >= this.#lookAgain) this.#lookAgain = Infinity;
		return this.#end();
	}

	get busy(): boolean {
		return this.#question !== undefined || this.#candidate !== undefined;
	}

	/** Of the flows to one service that share a memory, one asks at a time; the others take what it is given. */
	get #otherAsks(): boolean {
		const { asker } = this.memory;
		return asker !== undefined && asker !== this && asker.busy;
	}

	get #control(): Endpoint {
		return { address: this.service.address, port: this.settings.controlPort };
	}

	// Every call begins so: what is over is over before anything else is decided.
	#begin(turn: Turn): void {
		const { now } = turn;
		this.#out = [];
		this.#steady(now);
		if (this.#binding !== undefined && now >= this.#binding.until && !this.#follow(turn)) {
			const { target, until } = this.#binding;
			this.counters.leasesEnded++;
			this.#tell({ name: "lease", target, change: "ended", until });
			this.#unbind();
		}
		// Another flow to this service may have found out.
		if (this.#binding !== undefined && this.memory.isBarred(this.#binding.target, now)) this.#unbind();
		const candidate = this.#candidate;
		if (candidate !== undefined && (now >= candidate.until || this.memory.isBarred(candidate.target, now)))
			this.#candidate = undefined;
		if (this.#question !== undefined && now >= this.#question.due) {
			if (this.#question.sent >= this.settings.questions.length) this.#unanswered(turn);
			else this.#send(this.#question, now);
		}
		if (this.#candidate !== undefined) this.#probe(turn, this.#candidate, this.#candidate.probing);
		if (this.#binding !== undefined) this.#watch(turn, this.#binding);
	}

	#end(): Action[] {
		const out = this.#out;
		this.#out = [];
		return out;
	}

	#watch(turn: Turn, binding: Bound): void {
		const { now } = turn;
		if (this.#mayWatch(binding) && now >= (binding.unanswered as number) + this.settings.silence * binding.calm) {
			// A ticket that is no longer in force would not be answered, however well the target is: a fresh one first.
			if (this.#inForce(binding, now)) binding.watch = { sent: 0, due: now };
			else this.#ask(turn, "renew");
		}
		if (binding.watch !== undefined) this.#probe(turn, binding, binding.watch);
		else if (binding.used && now >= binding.renewAt && this.#question === undefined) this.#renewal(turn, binding);
	}

	/** Where there is neither a way nor a question: another flow's way, or a question. */
	#seek(turn: Turn): void {
		if (this.#binding !== undefined || this.busy || this.#adopt(turn)) return;
		if (this.state(turn.now) === "idle" && !this.#otherAsks) this.#ask(turn, "ask");
	}

	#renewal(turn: Turn, binding: Bound): void {
		if (!this.#follow(turn) && (binding.term === "once" || !this.#otherAsks)) this.#ask(turn, "renew");
	}

	/** Takes what another flow to this service has been given since: its renewed lease, or its new target. */
	#follow(turn: Turn): boolean {
		const binding = this.#binding;
		const given = this.memory.binding;
		if (binding === undefined || binding.term === "once" || given === undefined) return false;
		if (given.until <= Math.max(turn.now, binding.until)) return false;
		if (!same(given.target, binding.target)) return this.#adopt(turn) && (this.#binding as Bound).until > turn.now;
		const { target, term, until, ticket } = given;
		this.#binding = { ...binding, target, term, until, ticket, renewAt: this.#renewAt(turn, given), used: false };
		return true;
	}

	#mayWatch(binding: Bound): boolean {
		return binding.unanswered !== undefined && binding.watch === undefined && this.#question === undefined;
	}

	/** As a backend judges it (docs/protocol.md, sections 6 and 7), less what clocks may be apart. */
	#inForce(binding: Binding, now: number): boolean {
		return binding.term !== "once" || now < issuedAt(binding.ticket, now) + this.settings.window;
	}

	/** Sends the next probe if it is due; after the last one's time the target has failed. */
	#probe(turn: Turn, binding: Bound | Candidate, probing: Probing): void {
		const { probes } = this.settings;
		if (turn.now < probing.due) return;
		if (probing.sent >= probes.length) {
			this.#fail(turn, binding, "silent");
			return;
		}
		probing.due = turn.now + (probes[probing.sent++] as number);
		this.counters.probes++;
		const header = { ...binding.ticket, type: "probe", flags: binding.ticket.flags & ~(FLAG.failure | FLAG.packet) };
		this.#out.push({ do: "probe", to: binding.target, header: header as Header });
	}

	#ask(turn: Turn, kind: "ask" | "renew"): void {
		const nonce = BigInt.asUintN(64, turn.random());
		this.memory.asker = this;
		this.#question = { kind, header: capability(nonce), sent: 0, due: turn.now };
		this.#send(this.#question, turn.now);
	}

	#send(question: Question, now: number): void {
		question.due = now + (this.settings.questions[question.sent++] as number);
		if (question.kind === "failure") this.counters.failures++;
		else this.counters.questions++;
		this.#out.push({ do: "ask", to: this.#control, header: question.header });
	}

	/** No answer to any of the questions: no capability there, or none just now. */
	#unanswered(turn: Turn): void {
		const { now } = turn;
		const kind = this.#question?.kind;
		this.#question = undefined;
		const binding = this.#binding;
		if (binding !== undefined) {
			// What is bound stays so until it ends; the next try is half way there.
			binding.unanswered = undefined;
			const rest = binding.until - now;
			binding.renewAt = rest > 2000 && rest !== Infinity ? now + rest / 2 : Infinity;
			return;
		}
		if (this.#candidate !== undefined) return;
		// A gateway that has answered before does have the capability, so it is asked again sooner.
		const { plain, bar } = this.settings;
		this.memory.plainUntil = now + (kind === "ask" ? plain : bar);
		this.#tell({ name: "plain", why: "no-capability", until: this.memory.plainUntil });
	}

	#redirect(turn: Turn, header: Header, from: Endpoint): void {
		const { now } = turn;
		const { counters, memory } = this;
		const { controlPort, window } = this.settings;
		if (from.address !== this.service.address || (from.port !== this.service.port && from.port !== controlPort)) {
			counters.ignoredSource++;
			return;
		}
		const question = this.#question;
		if (question === undefined || question.header.nonce !== header.nonce) {
			if (this.#answered.includes(header.nonce)) counters.ignoredAnswered++;
			else counters.ignoredNonce++;
			return;
		}
		if (Math.abs(issuedAt(header, now) - now) > window) {
			counters.ignoredWindow++;
			return;
		}
		this.#question = undefined;
		this.#answered = [...this.#answered.filter((nonce) => nonce !== header.nonce).slice(-15), header.nonce];

		const target = endpointOf(header.address, header.port);
		const given: Binding = { target, ticket: header, ...this.#terms(header, now) };
		const why = this.#judge(given, now);
		const binding = this.#binding;
		if (why !== undefined) this.#decline(turn, why);
		else if (binding !== undefined && same(binding.target, target)) this.#renew(turn, binding, given);
		else if (!this.#afford(now, given.term)) this.#decline(turn, "limit");
		else if (memory.isBarred(target, now)) {
			counters.declinedBarred++;
			this.#indicate(given, now);
		} else {
			counters.redirects++;
			this.#candidate = { ...given, probing: { sent: 0, due: now }, replayed: false };
			this.#probe(turn, this.#candidate, this.#candidate.probing);
		}
	}

	#judge({ target, until, ticket }: Binding, now: number): Declined | undefined {
		if (!(ticket.flags & FLAG.redirect) || same(target, this.service)) return "not-expected";
		if (ticket.flags & FLAG.ipv6 && isMapped(ticket.address)) return "forbidden";
		if (!permitted(this.service.address, target.address, this.settings.targets)) return "forbidden";
		return until <= now ? "ended" : undefined;
	}

	/** A lease counts from its issue, or from now where the server's clock is ahead: never past its end by either clock. */
	#terms(header: Header, now: number): { term: Term; until: number } {
		const terms = header.flags & TERMS;
		if (terms === FLAG.permanent) return { term: "permanent", until: now + this.settings.permanent };
		if (terms !== FLAG.leased || header.lease === 0) return { term: "once", until: Infinity };
		return { term: "leased", until: Math.min(now, issuedAt(header, now)) + header.lease * 1000 };
	}

	/** Counts a redirection, if there may be one more. A once-redirection is its flow's alone, the others are the service's. */
	#afford(now: number, term: Term): boolean {
		const { redirections, stay } = this.settings;
		const recent = (list: number[]) => list.filter((at) => now < at + stay);
		this.#once = recent(this.#once);
		this.memory.redirections = recent(this.memory.redirections);
		if (this.#once.length + this.memory.redirections.length >= redirections) return false;
		(term === "once" ? this.#once : this.memory.redirections).push(now);
		return true;
	}

	/** The gateway's answer is not followed: the service stays with the gateway. What is bound stays so, unless the answer was
	 * that no redirection is expected, or that there were too many. */
	#decline(turn: Turn, why: Declined): void {
		const { now } = turn;
		const { counters, settings, memory } = this;
		if (why === "forbidden") counters.declinedForbidden++;
		else if (why === "limit") counters.declinedLimit++;
		else if (why === "ended") counters.declinedEnded++;
		else counters.declinedNotExpected++;
		const binding = this.#binding;
		if (binding !== undefined && (why === "forbidden" || why === "ended")) {
			binding.renewAt = Infinity;
			binding.unanswered = undefined;
			return;
		}
		this.#unbind();
		this.#candidate = undefined;
		let until = now + settings.stay;
		if (why === "not-expected") until = memory.plainUntil = now + settings.plain;
		else memory.stayUntil = until;
		this.#tell({ name: "plain", why, until });
	}

	#renew(turn: Turn, binding: Bound, given: Binding): void {
		this.counters.renewals++;
		const watched = binding.watch !== undefined;
		this.#binding = { ...binding, ...given, renewAt: this.#renewAt(turn, given), used: false };
		this.#candidate = undefined;
		this.#keep(this.#binding);
		if (given.term === "leased")
			this.#tell({ name: "lease", target: given.target, change: "renewed", until: given.until });
		if (!watched) this.#watch(turn, this.#binding);
	}

	/** At half the time that is left, give or take a tenth of that. Only a lease is renewed. */
	#renewAt(turn: Turn, given: Binding): number {
		if (given.term !== "leased") return Infinity;
		const fraction = Number(BigInt.asUintN(32, turn.random())) / 2 ** 32;
		return turn.now + (given.until - turn.now) * (0.45 + 0.1 * fraction);
	}

	#ack(turn: Turn, header: Header, from: Endpoint): void {
		const { counters } = this;
		if (Math.abs(issuedAt(header, turn.now) - turn.now) > this.settings.window) {
			counters.ignoredWindow++;
			return;
		}
		const named = endpointOf(header.address, header.port);
		const candidate = this.#candidate;
		const binding = this.#binding;
		const mine = (one: Binding | undefined) => one !== undefined && one.ticket.nonce === header.nonce;
		if (!mine(candidate) && !mine(binding)) {
			counters.ignoredNonce++;
			return;
		}
		if (!same(named, from)) counters.ignoredSource++;
		else if (candidate !== undefined && mine(candidate) && same(candidate.target, from)) {
			counters.acks++;
			this.#bind(turn, candidate);
		} else if (binding !== undefined && mine(binding) && same(binding.target, from)) {
			counters.acks++;
			if (binding.watch !== undefined) binding.calm = Math.min(binding.calm * 2, MOST_CALM);
			this.#alive(binding);
		} else counters.ignoredSource++;
	}

	#alive(binding: Bound): void {
		binding.unanswered = undefined;
		binding.watch = undefined;
		if (binding.term !== "once") this.memory.verified = true;
	}

	#bind(turn: Turn, { target, term, until, ticket }: Candidate): void {
		const given = { target, term, until, ticket };
		const previous = this.#binding?.target;
		if (previous !== undefined) this.#out.push({ do: "unbind", target: previous });
		this.#candidate = undefined;
		this.#binding = {
			...given,
			renewAt: this.#renewAt(turn, given),
			used: false,
			unanswered: undefined,
			calm: 1,
			watch: undefined,
		};
		this.#keep(this.#binding);
		this.memory.plainUntil = 0;
		this.#out.push({ do: "bind", target });
		this.#tell({ name: "redirect", target, term, ...(previous === undefined ? {} : { previous }) });
		if (term === "leased") this.#tell({ name: "lease", target, change: "granted", until });
	}

	/** Later flows take it from there. */
	#keep({ target, term, until, ticket }: Binding): void {
		if (term === "once") return;
		this.memory.binding = { target, term, until, ticket };
		this.memory.verified = true;
	}

	#unbind(): void {
		const binding = this.#binding;
		if (binding === undefined) return;
		this.#binding = undefined;
		if (binding.term !== "once") this.#forget(binding.target);
		this.#out.push({ do: "unbind", target: binding.target });
	}

	#forget(target: Endpoint): void {
		const { memory } = this;
		if (memory.binding !== undefined && same(memory.binding.target, target)) memory.binding = undefined;
	}

	/** What another flow to this service, or another run of this program, was given: used if that has answered, else tried. */
	#adopt(turn: Turn): boolean {
		const { memory, settings } = this;
		const given = memory.binding;
		if (given === undefined || memory.stayUntil > turn.now) return false;
		const good =
			given.until > turn.now &&
			permitted(this.service.address, given.target.address, settings.targets) &&
			!memory.isBarred(given.target, turn.now);
		if (!good) {
			memory.binding = undefined;
			return false;
		}
		const until = Math.min(given.until, turn.now + settings.permanent);
		const candidate = { ...given, until, probing: { sent: 0, due: turn.now }, replayed: false };
		if (memory.verified) this.#bind(turn, candidate);
		else {
			this.#candidate = candidate;
			this.#probe(turn, candidate, candidate.probing);
		}
		return true;
	}

	#revoke(turn: Turn, header: Header, from: Endpoint): void {
		const { counters } = this;
		const one = [this.#binding, this.#candidate].find((given) => given?.ticket.nonce === header.nonce);
		if (one === undefined) {
			counters.ignoredNonce++;
			return;
		}
		const fromService =
			from.address === this.service.address &&
			(from.port === this.service.port || from.port === this.settings.controlPort);
		if (!same(one.target, endpointOf(header.address, header.port)) || !(fromService || same(from, one.target))) {
			counters.ignoredSource++;
			return;
		}
		if (Math.abs(issuedAt(header, turn.now) - turn.now) > this.settings.window) {
			counters.ignoredWindow++;
			return;
		}
		counters.revokes++;
		if (one === this.#binding) {
			this.#tell({ name: "lease", target: one.target, change: "revoked", until: turn.now });
			this.#unbind();
		} else {
			this.#candidate = undefined;
			this.#forget(one.target);
		}
		if (this.#question === undefined) this.#ask(turn, "ask");
	}

	#fail(turn: Turn, one: Bound | Candidate, cause: Cause): void {
		const { now } = turn;
		const { bar, barMost } = this.settings;
		this.counters.failovers++;
		this.memory.bar(one.target, now, bar, barMost);
		this.#forget(one.target);
		if (one === this.#candidate) this.#candidate = undefined;
		else this.#unbind();
		this.#tell({ name: "failover", target: one.target, cause });
		this.#indicate(one, now);
		this.#out.push({ do: "resend", target: one.target, cause });
	}

	/** To the gateway: this target has failed. Its nonce may be answered once more. */
	#indicate({ ticket }: Binding, now: number): void {
		const flags = (ticket.flags | FLAG.failure) & ~FLAG.packet;
		this.memory.asker = this;
		this.#question = { kind: "failure", header: { ...ticket, type: "failure", flags }, sent: 0, due: now };
		this.#send(this.#question, now);
	}

	#tell(event: MachineEvent): void {
		this.#out.push({ do: "tell", event });
	}

	/** A clock that was set back must not lengthen anything: all times go back with it. */
	#steady(now: number): void {
		this.memory.steady(now);
		if (now < this.#last - 1000) {
			const by = now - this.#last;
			if (this.#question !== undefined) this.#question.due += by;
			if (this.#candidate !== undefined) {
				this.#candidate = { ...this.#candidate, until: this.#candidate.until + by };
				this.#candidate.probing.due += by;
			}
			const binding = this.#binding;
			if (binding !== undefined) {
				this.#binding = { ...binding, until: binding.until + by, renewAt: binding.renewAt + by };
				if (binding.unanswered !== undefined) this.#binding.unanswered = binding.unanswered + by;
				if (binding.watch !== undefined) binding.watch.due += by;
			}
			this.#once = this.#once.map((at) => at + by);
		}
		this.#last = now;
	}
}

/** `issued` in milliseconds: the second nearest to now that it can mean, since it has 32 bits. */
function issuedAt(header: Header, now: number): number {
	const seconds = Math.floor(now / 1000);
	return (seconds + ((header.issued - seconds) | 0)) * 1000;
}
