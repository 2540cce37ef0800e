// run.ts - one run, from its seed: clients arrive and end, backends report, gateways balance, and all is measured.
//
//   each step   backends leave or join, die or return → queries and reports → health → gateways balance
//               → renewals and ends → new clients
//
// Owns: time, and the order of events within a step. Must never: make a decision that belongs to a gateway.

import { strategyOf } from "../policy/index.js";
import { Clients, NEVER } from "./clients.js";
import { Measures } from "./measures.js";
import { type Options, PACKETS_PER_LEASE, type Result, STEP_MS } from "./model.js";
import { Random } from "./random.js";
import { Receiver } from "./receiver.js";
import { type Report, Servers } from "./servers.js";

/** Sessions of one source, where the choice is by source. */
const SESSIONS_PER_SOURCE = 10;
/** Least time that a backend stays away. */
const AWAY_S = 30;

interface ReportInFlight {
	readonly gateway: number;
	readonly backend: number;
	readonly report: Report;
}

/** `progress` is called from time to time with the fraction of the run that is done. */
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
	const inFlight: ReportInFlight[][] = [];
	const every = (ms: number) => Math.max(1, Math.round(ms / STEP_MS));
	const reportSteps = every(options.load.reportMs);
	const checkSteps = every(options.checkMs);
	const phases = servers.names.map(() => random.below(reportSteps));
	const isStale = new Uint8Array(options.backends);
	const stale: number[] = [];
	const away: { backend: number; since: number }[] = [];
	let fractionOfChange = 0;
	let now = 0;

	const arrive = () => {
		const place = clients.add();
		if (strategyOf(options.choose).spread === "source") {
			const source = random.below(sources);
			clients.first[place] = Math.imul(source + 1, 0x9e3779b1) ^ (source >>> 7);
		} else clients.first[place] = random.bits();
		clients.second[place] = random.bits();
		clients.gateway[place] = gateways.length === 1 ? 0 : random.below(gateways.length);
		const lifeMs =
			options.life === "heavy" ? random.heavy(options.lifeS * 1000) : random.exponential(options.lifeS * 1000);
		clients.end[place] = Math.min(NEVER, now + 1 + Math.floor(lifeMs / STEP_MS));
		const leased = leaseSteps > 0 && (options.capable >= 1 || random.part() < options.capable);
		clients.renewal[place] = leased ? now + leaseSteps : NEVER;
		clients.forgotten[place] = leased ? now + idleSteps : NEVER;
		clients.remembered[place] = 1;
		sendTo(place, chosenFor(place));
		if (leased) measures.packetsAtGateway(Math.min(PACKETS_PER_LEASE, (lifeMs / 1000) * options.packets));
		else measures.unleased++;
		measures.arrival(clients.target[place]!);
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
	const detach = (place: number) => {
		if (clients.remembered[place] === 1) forget(place);
		servers.sessions[clients.target[place]!]!--;
	};

	const handleEvent = (place: number) => {
		if (now >= clients.end[place]!) {
			detach(place);
			if (clients.renewal[place] === NEVER) measures.unleased--;
			clients.remove(place);
			return;
		}
		if (now >= clients.renewal[place]!) {
			// A gateway whose session has expired chooses anew.
			const previous = clients.target[place]!;
			if (clients.remembered[place] === 0) {
				detach(place);
				sendTo(place, chosenFor(place));
				clients.remembered[place] = 1;
			}
			measures.renewal(servers.backendOf(previous) !== servers.backendOf(clients.target[place]!));
			measures.packetsAtGateway(PACKETS_PER_LEASE);
			clients.forgotten[place] = now + idleSteps;
			clients.renewal[place] = now + leaseSteps;
		} else if (clients.remembered[place] === 1) forget(place);
		clients.schedule(place);
	};

	/** Clients of targets that are gone choose anew at their next packet: the target's epoch has moved. */
	const moveFrom = (gone: (target: number, gateway: number) => boolean) => {
		let moved = 0;
		for (let place = 0; place < clients.used; place++) {
			const target = clients.target[place]!;
			if (target === 0 || !gone(target, clients.gateway[place]!)) continue;
			detach(place);
			clients.remembered[place] = 1;
			sendTo(place, chosenFor(place));
			if (clients.renewal[place] !== NEVER) {
				measures.packetsAtGateway(PACKETS_PER_LEASE);
				// Already in the calendar: its session expires with the next event there, shortly after.
				clients.forgotten[place] = Math.min(clients.forgotten[place]! + idleSteps, now + idleSteps);
			}
			moved++;
		}
		return moved;
	};

	const changeBackends = () => {
		const returns = away.length > 0 && (away.length > options.backends / 10 || random.below(2) === 0);
		const first = away[0];
		const joins = returns && first !== undefined && now - first.since >= (AWAY_S * 1000) / STEP_MS;
		const before = measures.choices();
		let departed = -1;
		if (joins) {
			away.shift();
			servers.active[first.backend] = 1;
			for (const gateway of gateways) gateway.forget(first.backend, now * STEP_MS);
		} else {
			const active = servers.names.map((_, b) => b).filter((b) => servers.active[b] === 1);
			if (active.length < 2) return;
			departed = active[random.below(active.length)]!;
			servers.active[departed] = 0;
			away.push({ backend: departed, since: now });
		}
		for (const gateway of gateways) {
			gateway.step(now * STEP_MS);
			gateway.publish(now * STEP_MS);
		}
		measures.backendsChanged(before, departed);
		if (departed >= 0) measures.departure(moveFrom((target) => servers.backendOf(target) === departed));
	};

	/** Outages in the order of their begins, and in the order of their ends. */
	const deaths = [...options.outages];
	const returns = options.outages.filter(({ toS }) => toS < options.timeS).sort((a, b) => a.toS - b.toS);
	const dieAndReturn = (nowS: number) => {
		for (; (returns[0]?.toS ?? NEVER) <= nowS; returns.shift()) {
			servers.revive(returns[0]!.backend);
			measures.failures?.revived(returns[0]!.backend);
		}
		for (; (deaths[0]?.fromS ?? NEVER) <= nowS; deaths.shift()) {
			servers.alive[deaths[0]!.backend] = 0;
			measures.failures?.died(deaths[0]!.backend, now);
		}
	};
	const isLost = () => options.loss > 0 && random.part() < options.loss;
	const query = (nowMs: number) => {
		for (const { observer } of gateways)
			observer?.query(now, phases, (backend) => {
				if (servers.alive[backend] === 1 && isStale[backend] === 0 && !isLost()) observer.answered(backend, nowMs);
			});
	};
	const publishHealth = (nowMs: number) => {
		for (const [i, gateway] of gateways.entries()) {
			if (gateway.observer?.mustPublish(nowMs) !== true) continue;
			const published = gateway.publish(nowMs);
			measures.failures?.published(i, published, now);
			for (const gone of published.gone) {
				const moved = moveFrom((target, at) => target === gone && at === i);
				measures.failures?.moved(gone, moved);
			}
		}
	};

	for (const gateway of gateways) {
		gateway.step(0);
		if (gateway.rows.length === 0) gateway.publish(0);
	}
	for (now = 0; now < steps; now++) {
		const nowMs = now * STEP_MS;
		if (options.churn > 0 && now > 0) {
			fractionOfChange += (options.churn * STEP_MS) / 60_000;
			for (; fractionOfChange >= 1; fractionOfChange--) changeBackends();
		}
		if (options.stale > 0 && nowMs === options.staleAtS * 1000) {
			while (stale.length < Math.min(options.stale, options.backends)) {
				const backend = random.below(options.backends);
				if (isStale[backend] === 0) stale.push(backend);
				isStale[backend] = 1;
			}
			measures.reportsStopped(stale);
		}
		dieAndReturn(nowMs / 1000);
		query(nowMs);
		for (let b = 0; b < options.backends; b++) {
			if (servers.active[b] === 0 || servers.alive[b] === 0 || now % reportSteps !== phases[b]) continue;
			const report = servers.report(b, nowMs / 1000);
			if (isStale[b] === 1) continue;
			for (let gateway = 0; gateway < gateways.length; gateway++) {
				if (isLost()) continue;
				const delaySteps = options.delayMs === 0 ? 0 : Math.round(random.exponential(options.delayMs) / STEP_MS);
				const arriving = inFlight[now + delaySteps] ?? [];
				arriving.push({ gateway, backend: b, report });
				inFlight[now + delaySteps] = arriving;
			}
		}
		for (const { gateway, backend, report } of inFlight[now] ?? [])
			if (servers.active[backend] === 1) gateways[gateway]!.receive(backend, report, nowMs);
		delete inFlight[now];
		publishHealth(nowMs);
		// Gateways balance at different times, as in practice.
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
		clients.due(now, handleEvent);
		for (let arrivals = random.poisson(perStep); arrivals > 0; arrivals--) arrive();
		measures.step(now);
		if (now % 100 === 0) progress(now / steps);
	}
	return measures.result();
}
