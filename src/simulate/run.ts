// run.ts - one run, from its seed: clients come and go, backends report, gateways balance, and everything is measured.
//
//   each step   backends leave or join → reports → gateways balance → renewals and ends → new clients
//
// Owns: time, and the order of things within a step. Must never: decide anything that a gateway decides.

import { strategyOf } from "../policy/index.js";
import { Clients, NEVER } from "./clients.js";
import { Measures } from "./measures.js";
import { type Options, PACKETS_PER_LEASE, type Result, STEP_MS } from "./model.js";
import { Random } from "./random.js";
import { Receiver } from "./receiver.js";
import { type Report, Servers } from "./servers.js";

/** Sessions that a source makes, where the choice is by source. */
const SESSIONS_PER_SOURCE = 10;
/** How long somebody who left is away, at least. */
const AWAY_S = 30;

interface UnderWay {
	readonly gateway: number;
	readonly backend: number;
	readonly report: Report;
}

/** `progress`: of the whole, from 0 to 1; asked for now and then. */
export function simulate(options: Options, progress: (part: number) => void = () => {}): Result {
	const random = new Random(options.seed);
	const servers = new Servers(options, random);
	const gateways = Array.from({ length: options.gateways }, () => new Receiver(options, servers));
	const steps = Math.round((options.timeS * 1000) / STEP_MS);
	const perStep = options.clients / steps;
	const expected = Math.min(options.clients, (options.clients / options.timeS) * options.lifeS * 1.2 + 1000);
	const clients = new Clients(steps, Math.ceil(expected));
	const measures = new Measures(options, servers, gateways, clients);
	const sources = Math.max(1, Math.round(options.clients / SESSIONS_PER_SOURCE));
	const idleSteps = Math.round(options.idleMs / STEP_MS);
	const leaseSteps = Math.round((options.leaseS * 1000) / STEP_MS);
	const underWay: UnderWay[][] = [];
	const every = (ms: number) => Math.max(1, Math.round(ms / STEP_MS));
	const reportSteps = every(options.load.reportMs);
	const checkSteps = every(options.checkMs);
	const phases = servers.names.map(() => random.below(reportSteps));
	const silent = new Uint8Array(options.backends);
	const stopped: number[] = [];
	const away: { backend: number; since: number }[] = [];
	let fractionOfChange = 0;
	let now = 0;

	const come = () => {
		const place = clients.add();
		if (strategyOf(options.choose).spread === "source") {
			const source = random.below(sources);
			clients.first[place] = Math.imul(source + 1, 0x9e3779b1) ^ (source >>> 7);
		} else clients.first[place] = random.bits();
		clients.second[place] = random.bits();
		clients.gateway[place] = gateways.length === 1 ? 0 : random.below(gateways.length);
		const lives =
			options.life === "heavy" ? random.heavy(options.lifeS * 1000) : random.exponential(options.lifeS * 1000);
		clients.end[place] = Math.min(NEVER, now + 1 + Math.floor(lives / STEP_MS));
		const leased = leaseSteps > 0 && (options.capable >= 1 || random.part() < options.capable);
		clients.renewal[place] = leased ? now + leaseSteps : NEVER;
		clients.forgotten[place] = leased ? now + idleSteps : NEVER;
		clients.remembered[place] = 1;
		sendTo(place, chosenFor(place));
		if (leased) measures.atGateway(Math.min(PACKETS_PER_LEASE, (lives / 1000) * options.packets));
		else measures.unleased++;
		measures.came(clients.target[place]!);
		clients.schedule(place);
	};
	const chosenFor = (place: number) =>
		gateways[clients.gateway[place]!]!.choose(clients.first[place]!, clients.second[place]!);
	const sendTo = (place: number, target: number) => {
		clients.target[place] = target;
		servers.sessions[target]!++;
		gateways[clients.gateway[place]!]!.sessions[target]!++;
	};
	const forget = (place: number) => {
		clients.remembered[place] = 0;
		gateways[clients.gateway[place]!]!.sessions[clients.target[place]!]!--;
	};
	const takeOff = (place: number) => {
		if (clients.remembered[place] === 1) forget(place);
		servers.sessions[clients.target[place]!]!--;
	};

	const something = (place: number) => {
		if (now >= clients.end[place]!) {
			takeOff(place);
			if (clients.renewal[place] === NEVER) measures.unleased--;
			clients.remove(place);
			return;
		}
		if (now >= clients.renewal[place]!) {
			// A gateway that has forgotten the session chooses anew.
			const had = clients.target[place]!;
			if (clients.remembered[place] === 0) {
				takeOff(place);
				sendTo(place, chosenFor(place));
				clients.remembered[place] = 1;
			}
			measures.renewed(servers.backendOf(had) !== servers.backendOf(clients.target[place]!));
			measures.atGateway(PACKETS_PER_LEASE);
			clients.forgotten[place] = now + idleSteps;
			clients.renewal[place] = now + leaseSteps;
		} else if (clients.remembered[place] === 1) forget(place);
		clients.schedule(place);
	};

	/** Their clients find another at their next packet: the target's epoch has moved. */
	const moveFrom = (gone: (target: number) => boolean) => {
		let moved = 0;
		for (let place = 0; place < clients.used; place++) {
			const target = clients.target[place]!;
			if (target === 0 || !gone(target)) continue;
			takeOff(place);
			clients.remembered[place] = 1;
			sendTo(place, chosenFor(place));
			if (clients.renewal[place] !== NEVER) {
				measures.atGateway(PACKETS_PER_LEASE);
				// Already in the calendar: it is forgotten with its next event there, which is not much later.
				clients.forgotten[place] = Math.min(clients.forgotten[place]! + idleSteps, now + idleSteps);
			}
			moved++;
		}
		return moved;
	};

	const change = () => {
		const returns = away.length > 0 && (away.length > options.backends / 10 || random.below(2) === 0);
		const first = away[0];
		const backToday = returns && first !== undefined && now - first.since >= (AWAY_S * 1000) / STEP_MS;
		const before = measures.choices();
		let left = -1;
		if (backToday) {
			away.shift();
			servers.active[first.backend] = 1;
			for (const gateway of gateways) gateway.forget(first.backend, now * STEP_MS);
		} else {
			const there = servers.names.map((_, b) => b).filter((b) => servers.active[b] === 1);
			if (there.length < 2) return;
			left = there[random.below(there.length)]!;
			servers.active[left] = 0;
			away.push({ backend: left, since: now });
		}
		for (const gateway of gateways) {
			gateway.step(now * STEP_MS);
			gateway.publish();
		}
		measures.changed(before, left);
		if (left >= 0) measures.necessary(moveFrom((target) => servers.backendOf(target) === left));
	};

	for (const gateway of gateways) {
		gateway.step(0);
		if (gateway.rows.length === 0) gateway.publish();
	}
	for (now = 0; now < steps; now++) {
		const nowMs = now * STEP_MS;
		if (options.churn > 0 && now > 0) {
			fractionOfChange += (options.churn * STEP_MS) / 60_000;
			for (; fractionOfChange >= 1; fractionOfChange--) change();
		}
		if (options.stale > 0 && nowMs === options.staleAtS * 1000) {
			while (stopped.length < Math.min(options.stale, options.backends)) {
				const backend = random.below(options.backends);
				if (silent[backend] === 0) stopped.push(backend);
				silent[backend] = 1;
			}
			measures.silent(stopped);
		}
		for (let b = 0; b < options.backends; b++) {
			if (servers.active[b] === 0 || now % reportSteps !== phases[b]) continue;
			const report = servers.report(b, nowMs / 1000);
			if (silent[b] === 1) continue;
			for (let gateway = 0; gateway < gateways.length; gateway++) {
				if (options.loss > 0 && random.part() < options.loss) continue;
				const after = options.delayMs === 0 ? 0 : Math.round(random.exponential(options.delayMs) / STEP_MS);
				const then = underWay[now + after] ?? [];
				then.push({ gateway, backend: b, report });
				underWay[now + after] = then;
			}
		}
		for (const { gateway, backend, report } of underWay[now] ?? [])
			if (servers.active[backend] === 1) gateways[gateway]!.hear(backend, report, nowMs);
		delete underWay[now];
		// Gateways balance at different times, as in life.
		for (const [i, gateway] of gateways.entries()) {
			if ((now + Math.floor((i * checkSteps) / gateways.length)) % checkSteps !== 0) continue;
			const downBefore = gateway.balance?.down;
			gateway.step(nowMs);
			const down = [...(gateway.balance?.down ?? [])].filter((address) => !downBefore?.has(address));
			if (down.length > 0) {
				const targets = new Set(down.map((address) => 1 + servers.addresses.flat().indexOf(address)));
				moveFrom((target) => targets.has(target));
			}
		}
		clients.due(now, something);
		for (let arrivals = random.poisson(perStep); arrivals > 0; arrivals--) come();
		measures.step(now);
		if (now % 100 === 0) progress(now / steps);
	}
	return measures.result();
}
