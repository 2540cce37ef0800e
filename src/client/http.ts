// http.ts - agents for node:http and node:https, and a connector for undici, whose connections go where a service's gateway says.
//
// Owns: nothing but the joints. A request's URL, Host header and TLS identity stay the service's (docs/protocol.md, section 8).

import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import { Agent as SecureAgent, type AgentOptions as SecureAgentOptions } from "node:https";
import { isIP, type Socket, type TcpNetConnectOpts } from "node:net";
import { type ConnectionOptions as SecureOptions, connect as tlsConnect } from "node:tls";
import { dialerOf } from "./connection.js";
import type { Dialer } from "./dialer.js";
import type { RedirectionOptions } from "./options.js";

export interface Redirected {
	readonly redirection?: RedirectionOptions;
	readonly dialer?: Dialer;
}

type Created = (error: Error | null, socket?: Socket) => void;

export class RedirectedAgent extends Agent {
	readonly dialer: Dialer;

	constructor({ redirection, dialer, ...options }: AgentOptions & Redirected = {}) {
		super(options);
		this.dialer = dialerOf({ ...(dialer ? { dialer } : {}), ...(redirection ? { redirection } : {}) });
	}

	// @ts-expect-error Node calls back where nothing is returned; its types know only the socket that is.
	override createConnection(options: ClientRequestArgs, created: Created): undefined {
		this.dialer.dial(options as TcpNetConnectOpts).then((socket) => created(null, socket), created);
	}
}

export class RedirectedSecureAgent extends SecureAgent {
	readonly dialer: Dialer;

	constructor({ redirection, dialer, ...options }: SecureAgentOptions & Redirected = {}) {
		super(options);
		this.dialer = dialerOf({ ...(dialer ? { dialer } : {}), ...(redirection ? { redirection } : {}) });
	}

	// @ts-expect-error as above
	override createConnection(options: ClientRequestArgs & SecureOptions, created: Created): undefined {
		this.dialer.dial(options as TcpNetConnectOpts).then((socket) => created(null, secured(socket, options)), created);
	}
}

/** What undici hands a connector, as far as this one reads it. */
export interface ConnectorOptions {
	readonly hostname: string;
	readonly port: string | number;
	readonly protocol: string;
	readonly servername?: string | null | undefined;
	readonly localAddress?: string | null | undefined;
	readonly httpSocket?: Socket | undefined;
}

/** For `new Agent({ connect: connector() })` of undici, and so for fetch. `secure` goes to tls.connect. */
export function connector(options: Redirected = {}, secure: SecureOptions = {}) {
	const dialer = dialerOf(options);
	return (to: ConnectorOptions, created: (...result: [Error, null] | [null, Socket]) => void): void => {
		const tls = to.protocol === "https:";
		const port = Number(to.port || (tls ? 443 : 80));
		const host = to.hostname.replace(/^\[(.*)\]$/, "$1");
		const dialled = to.httpSocket
			? Promise.resolve(to.httpSocket)
			: dialer.dial({ host, port, ...(to.localAddress ? { localAddress: to.localAddress } : {}) });
		dialled.then(
			(socket) => {
				socket.setNoDelay(true);
				if (!tls) {
					created(null, socket);
					return;
				}
				const servername = to.servername || (isIP(host) ? "" : host);
				const wrapped = secured(socket, { ALPNProtocols: ["http/1.1"], ...secure, host, servername });
				wrapped.once("secureConnect", () => {
					wrapped.removeListener("error", failed);
					created(null, wrapped);
				});
				const failed = (error: Error) => created(error, null);
				wrapped.once("error", failed);
			},
			(error: Error) => created(error, null),
		);
	};
}

function secured(socket: Socket, options: SecureOptions & { readonly host?: string | null | undefined }) {
	const { host } = options;
	const servername = options.servername ?? (host && !isIP(host) ? host : "");
	return tlsConnect({ ...options, socket, servername } as SecureOptions);
}
