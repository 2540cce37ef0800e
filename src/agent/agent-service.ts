// agent-service.ts - one service of the agent: its machine, driven by what the BPF programs report.
//
// Owns: the machine's events (from counters and BPF events), its control datagrams, and the service's entry in the BPF
// map.
// Must never: decide (the machine does), or install a binding that the machine does not have.

import { randomBytes } from "node:crypto";
import {
	type Effect,
	Machine,
	type Notification,
	type RedirectionCache,
	type Settings,
	type Turn,
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
	FLAG,
	type Header,
	parseAddress,
	sameEndpoint,
} from "../wire/index.js";
import { ControlSockets } from "./control-sockets.js";

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
	notify(event: Notification): void;
}

/** What the BPF map holds for the service. */
interface Installed {
	readonly target: Endpoint;
	/** End of the binding; 0: no binding. */
	readonly until: number;
	/** What SYNs and datagrams carry as their capability; 0: none. */
	readonly nonce: bigint;
}

const MAX_HELD_SYNS = 256;
const NO_BINDING = { target: { address: "", port: 0 }, until: 0 };
const PROTOCOLS = { udp: 17, tcp: 6 } as const;

export class AgentService {
	readonly name: string;
	readonly machine: Machine;
	/** Redirects that were ignored because they are for one flow only, or for the other address family. */
	onceLeft = 0;
	readonly #sockets: ControlSockets;
	readonly #address: Uint8Array;
	#lastCounts: AgentCounts;
	#installed: Installed = { ...NO_BINDING, nonce: 0n };
	/** The nonce of the next query. SYNs may carry it before the machine has seen the traffic. */
	#nextNonce = randomNonce();
	/** The nonce of the current query. */
	#queryNonce = 0n;
	/** The answer to a SYN could not be followed: SYNs and datagrams carry no capability any more. */
	#capabilityHidden = false;
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
		this.machine = new Machine(of.service, options.settings, options.cache.of(of.protocol, of.service));
		this.#sockets = new ControlSockets(
			options.source,
			(bytes, from) => this.#onDatagram(bytes, from),
			(at) => this.#carryOut(this.machine.refused(turn(), at)),
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
		if (counts.toTarget > last.toTarget || counts.toGateway > last.toGateway) this.#onTraffic();
		const { target } = this.machine;
		if (target !== undefined && counts.fromTarget > last.fromTarget) this.#carryOut(this.machine.reply(turn(), target));
		if (this.machine.due <= Date.now()) this.#carryOut(this.machine.tick(turn()));
	}

	onEvent(event: AgentEvent): void {
		if (event.syn !== undefined && event.ifindex !== undefined && this.#heldSyns.length < MAX_HELD_SYNS)
			this.#heldSyns.push({ frame: event.syn, ifindex: event.ifindex });
		if (event.kind === "traffic") this.#onTraffic();
		else if (event.kind === "offered") this.#onOfferedHeader(event.header);
		else {
			const at = endpointOf(event.target, event.port);
			// The sender of a RST must know the SYN's sequence number. The sender of an ICMP error must know two ports,
			// which can be guessed.
			if (event.kind === "refused") this.#carryOut(this.machine.refused(turn(), at));
			else this.#carryOut(this.machine.suspect(turn(), at));
		}
	}

	/** No new flow is redirected any more; those whose path is their own keep it. */
	release(): void {
		this.machine.close();
		this.#installed = { ...NO_BINDING, nonce: 0n };
		this.#writeMap();
	}

	close(): void {
		this.machine.close();
		this.#sockets.close();
	}

	/** A header in a RST, or behind a datagram. */
	#onOfferedHeader(bytes: Uint8Array | undefined): void {
		const result = decodeHeader(bytes ?? new Uint8Array());
		if (result.ok && result.header.type === "redirect") {
			// If the RST was faster than the counters, the machine has not queried yet.
			if (this.machine.state(Date.now()) === "idle") this.#onTraffic();
			if (this.#isForAllFlows(result.header))
				this.#carryOut(this.machine.receive(turn(), result.header, this.of.service));
			else this.#capabilityHidden = true;
		}
		this.#carryOut([]);
	}

	/** Packets were sent to the service. The machine's query takes the nonce that SYNs carry already. */
	#onTraffic(): void {
		const { now, random } = turn();
		if (this.machine.state(now) !== "idle") {
			this.#carryOut(this.machine.route({ now, random }).effects);
			return;
		}
		this.#queryNonce = this.#nextNonce;
		this.#nextNonce = randomNonce();
		let first: bigint | undefined = this.#queryNonce;
		const firstThenRandom = () => {
			const nonce = first ?? random();
			first = undefined;
			return nonce;
		};
		this.#carryOut(this.machine.route({ now, random: firstThenRandom }).effects);
	}

	/** Whether a redirect can be followed for the packets of all applications: neither term "once", nor the other
	 * address family. */
	#isForAllFlows({ flags }: Header): boolean {
		const ipv6 = (flags & FLAG.ipv6) !== 0;
		const terms = flags & (FLAG.permanent | FLAG.leased);
		const usable = !(flags & FLAG.redirect) || (terms !== 0 && ipv6 === this.of.service.address.includes(":"));
		if (!usable) this.onceLeft++;
		return usable;
	}

	#onDatagram(bytes: Uint8Array, from: Endpoint): void {
		const control = decodeControl(bytes);
		if (control === undefined || !control.header.ok) return;
		const { header } = control.header;
		if (header.type === "redirect" && !this.#isForAllFlows(header)) return;
		this.#carryOut(this.machine.receive(turn(), header, from));
	}

	#carryOut(effects: readonly Effect[]): void {
		for (const effect of effects) {
			if (effect.do === "query" || effect.do === "probe") {
				const { protocol, service } = this.of;
				const about = { protocol: PROTOCOLS[protocol], port: service.port, address: this.#address };
				this.#sockets.send(encodeControl(encodeHeader(effect.header), about, undefined, CONTROL_SIZE), effect.to);
			} else if (effect.do === "notify") {
				this.options.notify(effect.event);
			}
		}
		this.#install();
	}

	/** Brings the BPF map up to the machine's binding, renewed leases included; then sends the held SYNs. */
	#install(): void {
		const { target, until } = this.machine;
		const binding = target !== undefined && until !== undefined ? { target, until } : NO_BINDING;
		const next: Installed = { ...binding, nonce: this.#capabilityNonce() };
		const { target: oldTarget, until: oldUntil, nonce: oldNonce } = this.#installed;
		if (!sameEndpoint(oldTarget, next.target) || oldUntil !== next.until || oldNonce !== next.nonce) {
			this.#installed = next;
			this.#writeMap();
		}
		if (this.#heldSyns.length > 0 && (target !== undefined || !this.machine.busy)) {
			for (const { frame, ifindex } of this.#heldSyns) this.options.sendSyn(frame, ifindex);
			this.#heldSyns = [];
		}
	}

	#capabilityNonce(): bigint {
		if (this.#capabilityHidden) return 0n;
		const state = this.machine.state(Date.now());
		return state === "idle" ? this.#nextNonce : state === "asking" ? this.#queryNonce : 0n;
	}

	#writeMap(): void {
		const { protocol, service } = this.of;
		const { target, until, nonce } = this.#installed;
		const nonceBytes = Buffer.alloc(8);
		nonceBytes.writeBigUInt64BE(nonce);
		const entry = {
			index: this.index,
			protocol: PROTOCOLS[protocol],
			address: this.#address,
			port: service.port,
			nonce: nonceBytes,
		};
		const bound = until > 0;
		const source = bound && parseAddress(this.#sockets.sourceTo(target) ?? this.options.source ?? "");
		const address = bound && parseAddress(target.address);
		const ifindex = address ? this.options.ifindexTo(address) : undefined;
		if (!source || !address || ifindex === undefined) {
			this.programs.put(entry);
			return;
		}
		const forMs = Math.max(0, Math.floor(until - Date.now()));
		this.programs.put({ ...entry, binding: { target: address, port: target.port, source, ifindex, forMs } });
	}
}

function turn(): Turn {
	return { now: Date.now(), random: randomNonce };
}

/** Never zero, which means "no nonce". */
function randomNonce(): bigint {
	return randomBytes(8).readBigUInt64BE() | 1n;
}
