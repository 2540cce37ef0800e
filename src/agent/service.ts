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
import {
	CONTROL_SIZE,
	decodeControl,
	decodeHeader,
	encodeControl,
	encodeHeader,
	FLAG,
	type Header,
	parseAddress,
} from "../wire/index.js";
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
	/** Sends a SYN of the host's own once more, by way of the programs. */
	send(syn: Buffer, ifindex: number): void;
	tell(event: MachineEvent): void;
}

const SYNS_MOST = 256;
const NOTHING = { target: { address: "", port: 0 }, until: 0, nonce: 0n };
const PROTOCOLS = { udp: 17, tcp: 6 } as const;

export class Service {
	readonly name: string;
	readonly machine: Machine;
	/** Redirects for one flow alone, which an agent for all flows leaves. */
	onceLeft = 0;
	readonly #link: Link;
	readonly #address: Uint8Array;
	#seen: AgentCounts;
	#put: { readonly target: Endpoint; readonly until: number; readonly nonce: bigint } = NOTHING;
	/** The nonce of the next question: SYNs may show it before the machine knows that there is traffic. */
	#next = randomNonce();
	/** Of the question that is asked now. */
	#asked = 0n;
	/** A SYN's answer could not be followed: they show nothing any more. */
	#mute = false;
	/** Connections that were answered by a redirect, or refused by a target: they go on once it is known where to. */
	#syns: { readonly frame: Buffer; readonly ifindex: number }[] = [];

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
		this.#follow();
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
		if (event.syn !== undefined && event.ifindex !== undefined && this.#syns.length < SYNS_MOST)
			this.#syns.push({ frame: event.syn, ifindex: event.ifindex });
		if (event.kind === "traffic") this.#traffic();
		else if (event.kind === "offered") this.#offered(event.header);
		else {
			const at = endpointOf(event.target, event.port);
			// A RST must have known the SYN's number. An ICMP error must have known two ports, which can be guessed.
			if (event.kind === "refused") this.#act(this.machine.refused(this.#turn(), at));
			else this.#act(this.machine.suspect(this.#turn(), at));
		}
	}

	#offered(bytes: Uint8Array | undefined): void {
		const result = decodeHeader(bytes ?? new Uint8Array());
		if (result.ok && result.header.type === "redirect") {
			// Its question may not have been asked yet, if the RST was faster than the counters.
			if (this.machine.state(Date.now()) === "idle") this.#traffic();
			if (this.#forAll(result.header)) this.#act(this.machine.receive(this.#turn(), result.header, this.of.service));
			else this.#mute = true;
		}
		this.#act([]);
	}

	close(): void {
		this.machine.close();
		this.#link.close();
	}

	#traffic(): void {
		const turn = this.#turn();
		if (this.machine.state(turn.now) !== "idle") {
			this.#act(this.machine.route(turn).actions);
			return;
		}
		this.#asked = this.#next;
		this.#next = randomNonce();
		let first: bigint | undefined = this.#asked;
		const random = () => {
			const one = first ?? randomNonce();
			first = undefined;
			return one;
		};
		this.#act(this.machine.route({ ...turn, random }).actions);
	}

	#turn() {
		return { now: Date.now(), random: randomNonce };
	}

	/** Whether a redirect can be followed for packets of all applications: not for one flow alone, nor into the other family. */
	#forAll({ flags }: Header): boolean {
		const six = (flags & FLAG.ipv6) !== 0;
		const terms = flags & (FLAG.permanent | FLAG.leased);
		const good = !(flags & FLAG.redirect) || (terms !== 0 && six === this.of.service.address.includes(":"));
		if (!good) this.onceLeft++;
		return good;
	}

	#heard(bytes: Uint8Array, from: Endpoint): void {
		const control = decodeControl(bytes);
		if (control === undefined || !control.header.ok) return;
		const { header } = control.header;
		if (header.type === "redirect" && !this.#forAll(header)) return;
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

	/** The BPF map has what the machine has: a renewed lease too. Then connections that wait for it go on. */
	#follow(): void {
		const { target, until } = this.machine;
		const bound = target !== undefined && until !== undefined ? { target, until } : NOTHING;
		const next = { target: bound.target, until: bound.until, nonce: this.#nonce() };
		const put = this.#put;
		if (!same(put.target, next.target) || put.until !== next.until || put.nonce !== next.nonce) {
			this.#put = next;
			this.#write();
		}
		if (this.#syns.length > 0 && (target !== undefined || !this.machine.busy)) {
			for (const { frame, ifindex } of this.#syns) this.options.send(frame, ifindex);
			this.#syns = [];
		}
	}

	/** What a SYN or a datagram shall show now; zero: nothing. */
	#nonce(): bigint {
		if (this.#mute) return 0n;
		const state = this.machine.state(Date.now());
		return state === "idle" ? this.#next : state === "asking" ? this.#asked : 0n;
	}

	#write(): void {
		const { protocol, service } = this.of;
		const put = this.#put;
		const nonce = new Uint8Array(8);
		new DataView(nonce.buffer).setBigUint64(0, put.nonce);
		const base = {
			index: this.index,
			protocol: PROTOCOLS[protocol],
			address: this.#address,
			port: service.port,
			nonce: Buffer.from(nonce),
		};
		const source = put.until > 0 && parseAddress(this.#link.sourceTo(put.target) ?? this.options.source ?? "");
		const target = put.until > 0 && parseAddress(put.target.address);
		const ifindex = target ? this.options.ifindexTo(target) : undefined;
		if (!source || !target || ifindex === undefined) {
			this.programs.put(base);
			return;
		}
		const forMs = Math.max(0, Math.floor(put.until - Date.now()));
		this.programs.put({ ...base, binding: { target, port: put.target.port, source, ifindex, forMs } });
	}
}

function randomNonce(): bigint {
	return randomBytes(8).readBigUInt64BE() | 1n; // zero would be none
}
