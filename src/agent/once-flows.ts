// once-flows.ts - the UDP flows of a service whose redirects hold for one flow (term once): a machine for each flow.
//
// Owns: the machines of these flows, and the flows' paths in the BPF programs. Must never: decide (the machines do), or
// move a flow whose first packet has decided its path (a handshake).

import { COUNTERS, type Counters, type Effect, type Machine, type Turn, zeroCounters } from "../client/index.js";
import type { AgentPrograms, FlowPath, UdpFlow } from "../engine/agent-programs.js";
import { type Endpoint, endpointText, parseAddress, sameEndpoint } from "../wire/index.js";

/** What the flows' service does for them. */
export interface FlowOwner {
	readonly programs: AgentPrograms;
	readonly index: number;
	/** The service's address and port, as the programs know them. */
	readonly service: { readonly address: Uint8Array; readonly port: number };
	newMachine(): Machine;
	/** The event "datagram"; its query takes the nonce that datagrams carry. */
	route(machine: Machine): readonly Effect[];
	/** Sends the effects' datagrams. */
	send(effects: readonly Effect[], source: Endpoint): void;
	/** How packets from this source reach a target; undefined: they cannot. */
	reach(target: Endpoint, source: Endpoint): Pick<FlowPath, "target" | "ifindex"> | undefined;
	/** A flow has received a redirect that all flows share. */
	shared(): void;
}

interface Flow {
	readonly machine: Machine;
	readonly source: Endpoint;
	readonly of: UdpFlow;
	bound: Endpoint | undefined;
	sentMs: number;
	heardMs: number;
	lastUsed: number;
}

/** Flows beyond go to the gateway. */
const MAX_FLOWS = 1024;
/** As for connections over UDP (AG_FLOW_IDLE_NS): a flow is a new one after this time without a packet. */
const IDLE_MS = 120_000;
const POLL_MS = 100;

export class OnceFlows {
	/** Redirects that were not used, because their flow's path was decided. */
	unused = 0;
	readonly #owner: FlowOwner;
	readonly #flows = new Map<string, Flow>();
	readonly #closedCounters = zeroCounters();
	#readAt = 0;

	constructor(owner: FlowOwner) {
		this.#owner = owner;
	}

	get counters(): Counters {
		const sum = { ...this.#closedCounters };
		for (const { machine } of this.#flows.values()) addCounters(sum, machine.counters);
		return sum;
	}

	/** How many flows are redirected. */
	get bound(): number {
		return [...this.#flows.values()].filter((flow) => flow.bound !== undefined).length;
	}

	/** A datagram of this source has gone to the gateway. */
	traffic(source: Endpoint): void {
		const flow = this.#flows.get(endpointText(source)) ?? this.#add(source, this.#owner.newMachine());
		if (flow === undefined) return;
		flow.lastUsed = Date.now();
		this.#carryOut(flow, this.#owner.route(flow.machine));
	}

	/** The machine whose redirect was for this source's flow. */
	adopt(source: Endpoint, machine: Machine): void {
		const flow = this.#add(source, machine);
		if (flow !== undefined) this.#carryOut(flow, []);
	}

	/** Whether an answer with this nonce concerns one of the flows. */
	concernedBy(nonce: bigint): boolean {
		return [...this.#flows.values()].some(({ machine }) => machine.concerns(nonce));
	}

	/** An event for the machine that it concerns. */
	receive(nonce: bigint, handle: (machine: Machine) => readonly Effect[]): void {
		for (const flow of this.#flows.values())
			if (flow.machine.concerns(nonce)) {
				this.#carryOut(flow, handle(flow.machine));
				return;
			}
	}

	/** An event for all machines. */
	each(handle: (machine: Machine) => readonly Effect[]): void {
		for (const flow of [...this.#flows.values()]) this.#carryOut(flow, handle(flow.machine));
	}

	/** Derives the machines' events from what the programs have seen, wakes them, and forgets idle flows. */
	poll(turn: Turn): void {
		const { now } = turn;
		const read = now >= this.#readAt + POLL_MS || now < this.#readAt;
		if (read) this.#readAt = now;
		for (const flow of [...this.#flows.values()]) {
			if (read && flow.bound !== undefined) this.#read(flow, turn);
			if (read || flow.machine.due <= now) this.#carryOut(flow, flow.machine.tick(turn));
			if (now >= flow.lastUsed + IDLE_MS && !flow.machine.busy) this.#remove(flow);
		}
	}

	/** All flows go to the gateway. */
	close(): void {
		for (const flow of [...this.#flows.values()]) this.#remove(flow);
	}

	#read(flow: Flow, turn: Turn): void {
		const { sentMs, heardMs } = this.#owner.programs.activity(flow.of);
		if (sentMs > flow.sentMs) {
			flow.lastUsed = turn.now;
			this.#carryOut(flow, this.#owner.route(flow.machine));
		}
		const { target } = flow.machine;
		if (heardMs > flow.heardMs && target !== undefined) this.#carryOut(flow, flow.machine.reply(turn, target));
		Object.assign(flow, { sentMs: Math.max(sentMs, flow.sentMs), heardMs: Math.max(heardMs, flow.heardMs) });
	}

	#add(source: Endpoint, machine: Machine): Flow | undefined {
		if (this.#flows.size >= MAX_FLOWS) return undefined;
		const { address, port } = this.#owner.service;
		const of = { source: parseAddress(source.address) as Uint8Array, sourcePort: source.port, address, port };
		const flow: Flow = { machine, source, of, bound: undefined, sentMs: 0, heardMs: 0, lastUsed: Date.now() };
		this.#flows.set(endpointText(source), flow);
		return flow;
	}

	#remove(flow: Flow): void {
		this.#unbind(flow);
		flow.machine.close();
		addCounters(this.#closedCounters, flow.machine.counters);
		this.#flows.delete(endpointText(flow.source));
	}

	#carryOut(flow: Flow, effects: readonly Effect[]): void {
		this.#owner.send(effects, flow.source);
		const { target, term } = flow.machine;
		if (target !== undefined && term !== "once") this.#owner.shared();
		else if (target === undefined) this.#unbind(flow);
		else if (flow.bound === undefined || !sameEndpoint(flow.bound, target)) this.#bind(flow, target);
	}

	#bind(flow: Flow, target: Endpoint): void {
		const { programs, index } = this.#owner;
		const reach = this.#owner.reach(target, flow.source);
		if (reach !== undefined && programs.bindFlow({ ...flow.of, ...reach, index, targetPort: target.port })) {
			const { sentMs } = programs.activity(flow.of);
			Object.assign(flow, { bound: target, sentMs });
			return;
		}
		this.unused++;
		this.#remove(flow);
	}

	#unbind(flow: Flow): void {
		if (flow.bound !== undefined) this.#owner.programs.unbindFlow(flow.of);
		flow.bound = undefined;
	}
}

export function addCounters(sum: Counters, more: Counters): void {
	for (const name of COUNTERS) sum[name] += more[name];
}
