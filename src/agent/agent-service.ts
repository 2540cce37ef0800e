// agent-service.ts - one service of the agent: its machine, driven by what the BPF programs report.
//
// Owns: the machine's events (from counters and BPF events), its control datagrams, and the service's entry in the BPF
// map.
// Must never: decide (the machine does), or install a binding that the machine does not have.

import { randomBytes } from "node:crypto";
import {
	type Counters,
	type Effect,
	Machine,
	type Notification,
	type RedirectionCache,
	type Settings,
	type Turn,
	zeroCounters,
} from "../client/index.js";
import type { AgentCounts, AgentEvent, AgentPrograms } from "../engine/agent-programs.js";
import {
	CONTROL_SIZE,
	decodeControl,
	decodeHeader,
	type Endpoint,
	encodeControl,
	encodeHeader,
	endpointOf,
	endpointText,
	type Header,
	parseAddress,
	sameEndpoint,
} from "../wire/index.js";
import { ControlSockets } from "./control-sockets.js";
import { addCounters, OnceFlows } from "./once-flows.js";

export interface ServiceName {
	readonly protocol: "udp" | "tcp";
	readonly service: Endpoint;
}

export interface ServiceOptions {
	readonly settings: Partial<Settings>;
	readonly source: string | undefined;
	readonly cache: RedirectionCache;
	/** The index of the interface that reaches this address, if the agent's programs are attached to it. */
	ifindexTo(address: Uint8Array): number | undefined;
	/** Sends a SYN of the host's own again, through the programs. */
	sendSyn(syn: Buffer, ifindex: number): void;
	/** `source`: of the flow that the event is about, where it is about one only. */
	notify(event: Notification, source?: Endpoint): void;
}

/** What the BPF map holds for the service. */
interface Installed {
	readonly target: Endpoint;
	/** End of the binding; 0: no binding. */
	readonly until: number;
	/** What SYNs and datagrams carry as their capability; 0: none. */
	readonly nonce: bigint;
	/** The gateway redirects flow by flow. */
	readonly once: boolean;
}

const MAX_HELD_SYNS = 256;
const NO_BINDING = { target: { address: "", port: 0 }, until: 0 };
const PROTOCOLS = { udp: 17, tcp: 6 } as const;

export class AgentService {
	readonly name: string;
	/** Of all flows. With term once: of the next TCP connection; UDP flows have machines of their own. */
	machine: Machine;
	readonly #flows: OnceFlows;
	/** The last redirect was for one flow (term once). */
	#once = false;
	#onceSince = 0;
	/** The source of the datagrams that were reported last. */
	#lastSource: Endpoint | undefined;
	/** Counters of machines that are closed. */
	readonly #closedCounters = zeroCounters();
	readonly #sockets: ControlSockets;
	readonly #address: Uint8Array;
	#lastCounts: AgentCounts;
	#installed: Installed = { ...NO_BINDING, nonce: 0n, once: false };
	/** The nonce of the next query. SYNs may carry it before the machine has seen the traffic. */
	#nextNonce = randomNonce();
	/** The nonce of the current query, and whose it is. */
	#queryNonce = 0n;
	#querying: Machine | undefined;
	/** SYNs that were answered by a redirect, or refused by a target; sent again when the machine has a result. */
	#heldSyns: { readonly frame: Buffer; readonly ifindex: number }[] = [];

	constructor(
		readonly programs: AgentPrograms,
		readonly index: number,
		readonly of: ServiceName,
		readonly options: ServiceOptions,
	) {
		this.name = `${of.protocol} ${endpointText(of.service)}`;
		this.#address = parseAddress(of.service.address) as Uint8Array;
		this.machine = this.#newMachine();
		this.#flows = new OnceFlows({
			programs,
			index,
			service: { address: this.#address, port: of.service.port },
			newMachine: () => this.#newMachine(),
			route: (machine) => this.#route(machine),
			send: (effects, source) => this.#send(effects, source),
			reach: (target, source) => this.#reach(target, source),
			shared: () => this.#share(),
		});
		this.#sockets = new ControlSockets(
			options.source,
			(bytes, from) => this.#onDatagram(bytes, from),
			(at) => this.#onRefusal(at),
		);
		this.#writeMap();
		this.#install();
		this.#lastCounts = programs.counts(index);
	}

	get counts(): AgentCounts {
		return this.programs.counts(this.index);
	}

	/** Derives the machine's events from the counters, and wakes it when its time is due. */
	poll(): void {
		const counts = this.counts;
		const last = this.#lastCounts;
		this.#lastCounts = counts;
		const { target } = this.machine;
		// What goes to the gateway while there is a target is of flows that began there, and says nothing about the target.
		// With term once the programs report each flow that asks.
		if (target !== undefined ? counts.toBound > last.toBound : !this.#once && counts.toGateway > last.toGateway)
			this.#onTraffic();
		if (target !== undefined && counts.fromBound > last.fromBound) this.#carryOut(this.machine.reply(turn(), target));
		if (this.machine.due <= Date.now()) this.#carryOut(this.machine.tick(turn()));
		this.#flows.poll(turn());
		if (this.machine.term === "once" && this.#installed.until > 0 && Date.now() >= this.#installed.until)
			this.#retire();
	}

	onEvent(event: AgentEvent): void {
		if (event.syn !== undefined && event.ifindex !== undefined && this.#heldSyns.length < MAX_HELD_SYNS)
			this.#heldSyns.push({ frame: event.syn, ifindex: event.ifindex });
		const { source: address, sourcePort = 0 } = event;
		const source = address === undefined ? undefined : endpointOf(address, sourcePort);
		if (event.kind === "traffic") {
			this.#lastSource = source;
			if (this.machine.target === undefined) this.#onTraffic(source);
		} else if (event.kind === "offered") this.#onOfferedHeader(event.header, source);
		else {
			const at = endpointOf(event.target, event.port);
			// The sender of a RST must know the SYN's sequence number. The sender of an ICMP error must know two ports,
			// which can be guessed.
			if (event.kind === "refused") this.#onRefusal(at);
			else if (event.kind === "accepted") this.#onAccepted(at);
			else {
				this.#carryOut(this.machine.suspect(turn(), at));
				this.#flows.each((machine) => machine.suspect(turn(), at));
			}
		}
	}

	/** No new flow is redirected any more; those whose path is their own keep it. */
	release(): void {
		this.#flows.close();
		this.machine.close();
		this.#installed = { ...NO_BINDING, nonce: 0n, once: false };
		this.#writeMap();
	}

	close(): void {
		this.#flows.close();
		this.machine.close();
		this.#sockets.close();
	}

	get counters(): Counters {
		const sum = { ...this.#closedCounters };
		addCounters(sum, this.machine.counters);
		addCounters(sum, this.#flows.counters);
		return sum;
	}

	/** UDP flows that are redirected one by one, and redirects that came too late for their flow. */
	get once(): { readonly onceFlows: number; readonly onceUnused: number } {
		return { onceFlows: this.#flows.bound, onceUnused: this.#flows.unused };
	}

	#newMachine(): Machine {
		const { protocol, service } = this.of;
		return new Machine(
			service,
			{ ...this.options.settings, sameFamily: true },
			this.options.cache.of(protocol, service),
		);
	}

	/** A header in a RST, or behind a datagram of this source's. */
	#onOfferedHeader(bytes: Uint8Array | undefined, source: Endpoint | undefined): void {
		const result = decodeHeader(bytes ?? new Uint8Array());
		if (result.ok && result.header.type === "redirect") {
			const { header } = result;
			// If it was faster than the report of the traffic, no machine has queried yet.
			if (header.nonce === this.#nextNonce) {
				this.#lastSource = source;
				this.#onTraffic(source);
			}
			this.#onControl(header, this.of.service);
		}
		this.#carryOut([]);
	}

	/** Packets were sent to the service; of datagrams that a redirect may move, `source` is the source. */
	#onTraffic(source?: Endpoint): void {
		if (!this.#once || this.of.protocol === "tcp") this.#carryOut(this.#route(this.machine));
		else if (source !== undefined) {
			if (this.#isOwn(source)) this.#flows.traffic(source);
		} else if (Date.now() >= this.#onceSince + this.machine.settings.stayMs) {
			// Of flows that no redirect may move: the gateway may redirect all flows by now.
			this.#onceSince = Date.now();
			this.#carryOut(this.#route(this.machine));
		}
	}

	/** The event "datagram". The machine's query takes the nonce that packets carry already. */
	#route(machine: Machine): readonly Effect[] {
		const shown = this.#nextNonce;
		let first: bigint | undefined = machine.state(Date.now()) === "idle" ? shown : undefined;
		const random = () => {
			const nonce = first ?? randomNonce();
			first = undefined;
			return nonce;
		};
		const { effects } = machine.route({ now: Date.now(), random });
		if (machine.expects(shown)) {
			this.#queryNonce = shown;
			this.#querying = machine;
			this.#nextNonce = randomNonce();
		}
		return effects;
	}

	#onDatagram(bytes: Uint8Array, from: Endpoint): void {
		const control = decodeControl(bytes);
		if (control?.header.ok) this.#onControl(control.header.header, from);
	}

	#onControl(header: Header, from: Endpoint): void {
		const receive = (machine: Machine) => machine.receive(turn(), header, from);
		if (this.#flows.concernedBy(header.nonce)) this.#flows.receive(header.nonce, receive);
		else {
			const effects = receive(this.machine);
			this.#divide();
			this.#carryOut(effects);
		}
	}

	/** After an answer: a redirect for one flow is for the UDP flow that has asked, or for the next TCP connection. */
	#divide(): void {
		const { term } = this.machine;
		if (term !== undefined) this.#once = term === "once";
		if (this.#once) this.#onceSince = Date.now();
		if (term !== "once" || this.of.protocol === "tcp") return;
		const { machine } = this;
		this.machine = this.#newMachine();
		if (this.#lastSource !== undefined && this.#isOwn(this.#lastSource)) this.#flows.adopt(this.#lastSource, machine);
		else this.#closeMachine(machine);
	}

	/** A UDP flow has received a redirect for all flows: they take it from the cache. */
	#share(): void {
		this.#once = false;
		this.#flows.close();
		this.#carryOut(this.#route(this.machine));
	}

	#onRefusal(at: Endpoint): void {
		this.#carryOut(this.machine.refused(turn(), at));
		this.#flows.each((machine) => machine.refused(turn(), at));
	}

	/** The connection that was redirected once has opened: the next one asks for itself. */
	#onAccepted(target: Endpoint): void {
		const { machine } = this;
		if (machine.term !== "once" || machine.target === undefined || !sameEndpoint(machine.target, target)) return;
		this.#carryOut(machine.reply(turn(), target));
		this.#retire();
	}

	/** A redirect for one connection is used, or no longer in force. */
	#retire(): void {
		const { machine } = this;
		this.machine = this.#newMachine();
		this.#closeMachine(machine);
		this.#carryOut([]);
	}

	#closeMachine(machine: Machine): void {
		machine.close();
		addCounters(this.#closedCounters, machine.counters);
	}

	/** Whether a redirect is valid for this source: gateways redirect the address that queries. */
	#isOwn(source: Endpoint): boolean {
		const { service, settings } = this.machine;
		const own = this.#sockets.sourceTo({ address: service.address, port: settings.controlPort }) ?? this.options.source;
		return own === undefined || own === source.address;
	}

	#carryOut(effects: readonly Effect[]): void {
		this.#send(effects);
		this.#install();
	}

	#send(effects: readonly Effect[], source?: Endpoint): void {
		for (const effect of effects) {
			if (effect.do === "query" || effect.do === "probe") {
				const { protocol, service } = this.of;
				const about = { protocol: PROTOCOLS[protocol], port: service.port, address: this.#address };
				this.#sockets.send(encodeControl(encodeHeader(effect.header), about, undefined, CONTROL_SIZE), effect.to);
			} else if (effect.do === "notify") {
				this.options.notify(effect.event, source);
			}
		}
	}

	/** Brings the BPF map up to the machine's binding, renewed leases included; then sends the held SYNs. */
	#install(): void {
		const { target } = this.machine;
		const before = this.#installed;
		const binding = target !== undefined ? { target, until: this.#endOf(target) } : NO_BINDING;
		const next: Installed = { ...binding, nonce: this.#capabilityNonce(), once: this.#once };
		if (
			!sameEndpoint(before.target, next.target) ||
			before.until !== next.until ||
			before.nonce !== next.nonce ||
			before.once !== next.once
		) {
			this.#installed = next;
			this.#writeMap();
		}
		if (this.#heldSyns.length > 0 && (target !== undefined || !this.machine.busy)) {
			for (const { frame, ifindex } of this.#heldSyns) this.options.sendSyn(frame, ifindex);
			this.#heldSyns = [];
		}
	}

	/** The end of the binding. One for the next connection (term once) waits for it as long as its ticket is in force. */
	#endOf(target: Endpoint): number {
		const { until = 0, settings } = this.machine;
		if (until !== Infinity) return until;
		const { target: known, until: end } = this.#installed;
		return end > 0 && sameEndpoint(known, target) ? end : Date.now() + settings.windowMs;
	}

	#capabilityNonce(): bigint {
		const now = Date.now();
		const querying = this.#querying;
		if (querying?.expects(this.#queryNonce)) return querying.state(now) === "asking" ? this.#queryNonce : 0n;
		return this.machine.state(now) === "idle" ? this.#nextNonce : 0n;
	}

	/** How packets from this source reach a target; undefined: not through the agent's programs, or not from there. */
	#reach(target: Endpoint, source: Endpoint): { readonly target: Uint8Array; readonly ifindex: number } | undefined {
		const address = parseAddress(target.address);
		const ifindex = address && this.options.ifindexTo(address);
		const own = this.#sockets.sourceTo(target) ?? this.options.source;
		return address && ifindex !== undefined && own === source.address ? { target: address, ifindex } : undefined;
	}

	#writeMap(): void {
		const { protocol, service } = this.of;
		const { target, until, nonce, once } = this.#installed;
		const nonceBytes = Buffer.alloc(8);
		nonceBytes.writeBigUInt64BE(nonce);
		const entry = {
			index: this.index,
			protocol: PROTOCOLS[protocol],
			address: this.#address,
			port: service.port,
			nonce: nonceBytes,
			once,
		};
		const own = until > 0 ? (this.#sockets.sourceTo(target) ?? this.options.source) : undefined;
		const reach = own === undefined ? undefined : this.#reach(target, { address: own, port: 0 });
		const source = parseAddress(own ?? "");
		if (reach === undefined || !source) {
			this.programs.put(entry);
			return;
		}
		const forMs = Math.max(0, Math.floor(until - Date.now()));
		this.programs.put({ ...entry, binding: { ...reach, port: target.port, source, forMs, once } });
	}
}

function turn(): Turn {
	return { now: Date.now(), random: randomNonce };
}

/** Never zero, which means "no nonce". */
function randomNonce(): bigint {
	return randomBytes(8).readBigUInt64BE() | 1n;
}
