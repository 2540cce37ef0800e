// service.ts - one service of the agent: its machine, fed with what the BPF programs have seen.
//
// Owns: the machine's sense of traffic (from counters and events), its control datagrams, and the binding in the BPF map.
// Must never: decide; the machine does. Or bind what the machine has not bound.

import { randomBytes } from "node:crypto";
import {
	type Action,
	type Cache,
	type Endpoint,
	endpointOf,
	Machine,
	type MachineEvent,
	type Settings,
	same,
	textOf,
} from "../client/index.js";
import type { AgentCounts, AgentEvent, AgentPrograms } from "../engine/agent-programs.js";
import { CONTROL_SIZE, decodeControl, encodeControl, encodeHeader, FLAG, parseAddress } from "../wire/index.js";
import { Link } from "./link.js";

export interface ServiceName {
	readonly protocol: "udp" | "tcp";
	readonly service: Endpoint;
}

export interface ServiceOptions {
	readonly settings: Partial<Settings>;
	readonly source: string | undefined;
	readonly cache: Cache;
	/** The number of the interface by which this address is reached, if the agent's programs are there. */
	ifindexTo(address: Uint8Array): number | undefined;
	tell(event: MachineEvent): void;
}

const PROTOCOLS = { udp: 17, tcp: 6 } as const;

export class Service {
	readonly name: string;
	readonly machine: Machine;
	/** Redirects for one flow alone, which an agent for all flows leaves. */
	onceLeft = 0;
	readonly #link: Link;
	readonly #address: Uint8Array;
	#seen: AgentCounts;
	#put: { readonly target: Endpoint; readonly until: number } | undefined;

	constructor(
		readonly programs: AgentPrograms,
		readonly index: number,
		readonly of: ServiceName,
		readonly options: ServiceOptions,
	) {
		this.name = `${of.protocol} ${textOf(of.service)}`;
		this.#address = parseAddress(of.service.address) as Uint8Array;
		this.machine = new Machine(of.service, options.settings, options.cache.of(of.protocol, of.service));
		this.#link = new Link(
			options.source,
			(bytes, from) => this.#heard(bytes, from),
			(at) => this.#act(this.machine.refused(this.#turn(), at)),
		);
		this.#write();
		this.#seen = programs.counts(index);
	}

	get counts(): AgentCounts {
		return this.programs.counts(this.index);
	}

	/** What the counters say that has happened since, and what time brings about. */
	look(): void {
		const now = this.counts;
		const before = this.#seen;
		this.#seen = now;
		if (now.toTarget > before.toTarget || now.toGateway > before.toGateway) this.#traffic();
		const { target } = this.machine;
		if (target !== undefined && now.fromTarget > before.fromTarget) this.#act(this.machine.heard(this.#turn(), target));
		if (this.machine.due <= Date.now()) this.#act(this.machine.tick(this.#turn()));
	}

	event(event: AgentEvent): void {
		if (event.kind === "traffic") this.#traffic();
		else this.#act(this.machine.refused(this.#turn(), endpointOf(event.target, event.port)));
	}

	close(): void {
		this.machine.close();
		this.#link.close();
	}

	#traffic(): void {
		this.#act(this.machine.route(this.#turn()).actions);
	}

	#turn() {
		return { now: Date.now(), random: () => randomBytes(8).readBigUInt64BE() };
	}

	#heard(bytes: Uint8Array, from: Endpoint): void {
		const control = decodeControl(bytes);
		if (control === undefined || !control.header.ok) return;
		const { header } = control.header;
		const terms = FLAG.permanent | FLAG.leased;
		if (header.type === "redirect" && header.flags & FLAG.redirect) {
			// For one flow alone, or of the other family: neither can be followed for packets of all applications.
			const six = (header.flags & FLAG.ipv6) !== 0;
			if (!(header.flags & terms) || six !== this.of.service.address.includes(":")) {
				this.onceLeft++;
				return;
			}
		}
		this.#act(this.machine.receive(this.#turn(), header, from));
	}

	#act(actions: readonly Action[]): void {
		for (const action of actions) {
			if (action.do === "ask" || action.do === "probe") {
				const { protocol, service } = this.of;
				const about = { protocol: PROTOCOLS[protocol], port: service.port, address: this.#address };
				this.#link.send(encodeControl(encodeHeader(action.header), about, undefined, CONTROL_SIZE), action.to);
			} else if (action.do === "tell") {
				this.options.tell(action.event);
			}
		}
		this.#follow();
	}

	/** The BPF map has what the machine has: a renewed lease too. */
	#follow(): void {
		const { target, until } = this.machine;
		const put = this.#put;
		if (target === undefined || until === undefined) {
			if (put === undefined) return;
			this.#put = undefined;
			this.#write();
			return;
		}
		if (put !== undefined && same(put.target, target) && put.until === until) return;
		this.#put = { target, until };
		this.#write();
	}

	#write(): void {
		const { protocol, service } = this.of;
		const base = {
			index: this.index,
			protocol: PROTOCOLS[protocol],
			address: this.#address,
			port: service.port,
		};
		const put = this.#put;
		const source = put && parseAddress(this.#link.sourceTo(put.target) ?? this.options.source ?? "");
		if (put === undefined || source === undefined) {
			this.programs.put(base);
			return;
		}
		const target = parseAddress(put.target.address) as Uint8Array;
		const ifindex = this.options.ifindexTo(target);
		const forMs = Math.max(0, Math.floor(put.until - Date.now()));
		this.programs.put({
			...base,
			...(ifindex === undefined ? {} : { binding: { target, port: put.target.port, source, ifindex, forMs } }),
		});
	}
}
