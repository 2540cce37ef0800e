/**
 * ICMP errors about this gateway's packets to backends: a router says within milliseconds what silence shows in seconds.
 *
 * An ICMP error is not authenticated. One counts only if it quotes a datagram from the address that this host uses towards a
 * backend's address, to the port of the tunnel or of the load queries; and then it is a reason to ask the backend
 * (Collector.doubt), no verdict.
 *
 * Owns: the raw sockets, how often they are read, and which errors count.
 * Must never: take an address out of service.
 */
import { addressText } from "../config/index.js";
import { host, type IcmpError, type IcmpErrors } from "../engine/index.js";

const PERIOD_MS = 100;

/** Of type 3, "destination unreachable". The others are about the size or the priority of a packet. */
const CODES4: Readonly<Record<number, string>> = {
	0: "network unreachable",
	1: "host unreachable",
	2: "protocol unreachable",
	3: "port unreachable",
	5: "source route failed",
	6: "network unknown",
	7: "host unknown",
	9: "network administratively prohibited",
	10: "host administratively prohibited",
	13: "administratively prohibited",
};
/** Of ICMPv6, type 1. */
const CODES6: Readonly<Record<number, string>> = {
	0: "no route",
	1: "administratively prohibited",
	2: "beyond the scope of the source",
	3: "address unreachable",
	4: "port unreachable",
	5: "source address not allowed",
	6: "route rejects it",
};
const PORT_UNREACHABLE = "port unreachable";

export interface PathErrorsOptions {
	readonly ports: () => { readonly tunnel: number; readonly load: number };
	/** The address that this host sends from to this one; undefined: there is no route. */
	readonly sourceTo: (destination: Buffer) => Buffer | undefined;
	/** `why`: "10.0.1.1 reports 10.0.2.12: administratively prohibited". */
	readonly onError: (address: string, why: string) => void;
	readonly warn: (problem: string) => void;
	/** Default: the host's sockets. */
	readonly open?: () => IcmpErrors;
}

export class PathErrors {
	readonly #options: PathErrorsOptions;
	#sockets: IcmpErrors | undefined;
	#timer: NodeJS.Timeout | undefined;

	constructor(options: PathErrorsOptions) {
		this.#options = options;
	}

	start(): void {
		const { open = () => new (host().IcmpErrors)(), warn } = this.#options;
		try {
			this.#sockets = open();
		} catch (error) {
			warn(`routers' ICMP errors about backends are not heard: ${(error as Error).message}`);
			return;
		}
		this.#timer = setInterval(() => this.read(), PERIOD_MS).unref();
	}

	close(): void {
		clearInterval(this.#timer);
		this.#sockets?.close();
		this.#sockets = undefined;
	}

	/** What has arrived since the last time. */
	read(): void {
		for (const error of this.#sockets?.read() ?? []) {
			const why = this.#problemOf(error);
			if (why === undefined) continue;
			const address = addressText(error.destination);
			this.#options.onError(address, `${addressText(error.reporter)} reports ${address}: ${why}`);
		}
	}

	/** undefined: it is not about a packet of this gateway to a backend, or not about the way there. */
	#problemOf({ code, source, destination, destinationPort }: IcmpError): string | undefined {
		const { tunnel, load } = this.#options.ports();
		if (destinationPort !== tunnel && destinationPort !== load) return undefined;
		const codes = addressText(destination).includes(":") ? CODES6 : CODES4;
		const text = codes[code];
		// Of the load port the query's own socket hears it.
		if (text === undefined || (text === PORT_UNREACHABLE && destinationPort !== tunnel)) return undefined;
		return this.#options.sourceTo(destination)?.equals(source) ? text : undefined;
	}
}
