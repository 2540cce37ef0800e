// agent-programs.ts - typed binding of the host agent's BPF programs.
//
// Owns: the shape of what crosses. Must never: decide which target serves a service; src/agent does.

import { ShuntError } from "../errors.js";
import { addon as loaded } from "./addon.js";

export interface AgentEvent {
	/** traffic: for a service without a binding. unreachable, refused: what became of packets to a target. offered: a redirect, in
	 * a RST that answered a SYN, or in a datagram of the service's. accepted: a connection that was redirected once. */
	readonly kind: "traffic" | "unreachable" | "refused" | "offered" | "accepted";
	/** The service's. */
	readonly index: number;
	/** 16 bytes, IPv4 in mapped form. */
	readonly target: Buffer;
	readonly port: number;
	/** Of the datagrams that a redirect may move. */
	readonly source?: Buffer;
	readonly sourcePort?: number;
	/** What was offered. */
	readonly header?: Buffer;
	/** The SYN that is to go out again, from its Ethernet header on, by which link. Its checksum may be unfinished. */
	readonly syn?: Buffer;
	readonly ifindex?: number;
}

export interface AgentService {
	readonly index: number;
	/** 6 or 17. */
	readonly protocol: number;
	readonly address: Uint8Array;
	readonly port: number;
	/** 8 bytes: what SYNs and datagrams show while there is no binding; absent: nothing. */
	readonly nonce?: Uint8Array;
	/** The service's UDP flows may have paths of their own. */
	readonly once?: boolean;
	readonly binding?: {
		readonly target: Uint8Array;
		readonly port: number;
		/** Whose packets: the address that was redirected. */
		readonly source: Uint8Array;
		/** By which the target is reached; absent: as the packet goes anyhow. */
		readonly ifindex?: number;
		/** From now. */
		readonly forMs: number;
		/** For one connection. */
		readonly once?: boolean;
	};
}

/** A UDP flow from its application's source to a service. */
export interface UdpFlow {
	readonly source: Uint8Array;
	readonly sourcePort: number;
	readonly address: Uint8Array;
	readonly port: number;
}

/** The path of one UDP flow. */
export interface FlowPath extends UdpFlow {
	/** The service's. */
	readonly index: number;
	readonly target: Uint8Array;
	readonly targetPort: number;
	readonly ifindex?: number;
}

/** Packets, since the programs were loaded. */
export interface AgentCounts {
	readonly toGateway: number;
	readonly toTarget: number;
	readonly fromTarget: number;
	/** ICMP errors that quoted a redirected packet. */
	readonly errors: number;
	/** Connections that a target refused. */
	readonly refused: number;
	/** UDP flows whose path was decided by their first packet: QUIC, DTLS. */
	readonly handshakes: number;
	/** Of toTarget and fromTarget: of the target that the service is bound to now. */
	readonly toBound: number;
	readonly fromBound: number;
}

/** A redirected flow whose path is its own, by the source that its application has. */
export interface RedirectedFlow {
	readonly protocol: "tcp" | "udp";
	readonly address: Uint8Array;
	readonly port: number;
	/** Of UDP: since its last packet left. */
	readonly quietMs: number;
}

interface Addon {
	readonly AgentPrograms: new (options: {
		interfaces: readonly string[];
	}) => {
		put(service: AgentService): void;
		bindFlow(path: FlowPath): boolean;
		unbindFlow(flow: UdpFlow): void;
		activity(flow: UdpFlow): { readonly sentMs: number; readonly heardMs: number };
		beat(): void;
		counts(of: { index: number }): AgentCounts;
		redirected(): RedirectedFlow[];
		read(options: { max?: number; timeoutMs?: number }): Promise<AgentEvent[]>;
		close(): void;
	};
}

function failed(step: string, cause: unknown): ShuntError {
	return cause instanceof ShuntError
		? cause
		: new ShuntError("SHUNT_ENGINE_FAILED", { step, why: (cause as Error).message }, { cause });
}

/** Lifetime: construct (attached), put() services, beat() every second, close() (nothing is left in the kernel). */
export class AgentPrograms {
	readonly #programs: InstanceType<Addon["AgentPrograms"]>;

	constructor(interfaces: readonly string[]) {
		try {
			this.#programs = new (loaded<Addon>().AgentPrograms)({ interfaces });
		} catch (cause) {
			throw failed("attaching the agent's programs", cause);
		}
	}

	put(service: AgentService): void {
		try {
			this.#programs.put(service);
		} catch (cause) {
			throw failed("binding a service", cause);
		}
	}

	/** Redirects one UDP flow. False: its first packet has decided its path (a handshake). */
	bindFlow(path: FlowPath): boolean {
		try {
			return this.#programs.bindFlow(path);
		} catch (cause) {
			throw failed("binding a flow", cause);
		}
	}

	/** The flow's packets go to the gateway again. */
	unbindFlow(flow: UdpFlow): void {
		this.#programs.unbindFlow(flow);
	}

	/** When a bound flow's last packets left and came, in milliseconds of a clock of the kernel's; 0: none. */
	activity(flow: UdpFlow): { readonly sentMs: number; readonly heardMs: number } {
		return this.#programs.activity(flow);
	}

	/** I live: bindings may be used. */
	beat(): void {
		this.#programs.beat();
	}

	counts(index: number): AgentCounts {
		return this.#programs.counts({ index });
	}

	/** TCP connections, those that have ended included, and UDP flows with a path of their own. */
	redirected(): RedirectedFlow[] {
		return this.#programs.redirected();
	}

	/** Waits for the first event at most so long. One read at a time. */
	read(timeoutMs: number): Promise<AgentEvent[]> {
		return this.#programs.read({ max: 256, timeoutMs });
	}

	/** A read that is under way ends first. */
	close(): void {
		this.#programs.close();
	}
}
