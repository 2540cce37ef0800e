// http.ts - agents for node:http and node:https, and a connector for undici, with connections of a Dialer.
//
// Must never: change a request's URL, Host header or TLS identity: they are the service's (docs/protocol.md, section
// 8).

import { Agent, type AgentOptions, type ClientRequestArgs } from "node:http";
import { type RequestOptions, Agent as SecureAgent, type AgentOptions as SecureAgentOptions } from "node:https";
import { isIP, type Socket, type TcpNetConnectOpts } from "node:net";
import type { Duplex } from "node:stream";
import { type ConnectionOptions as SecureOptions, connect as tlsConnect } from "node:tls";
import { dialerOf } from "./connection.js";
import type { Dialer } from "./dialer.js";
import type { RedirectionOptions } from "./options.js";

export interface Redirected {
	readonly redirection?: RedirectionOptions;
	readonly dialer?: Dialer;
}

/** As Node's types declare it. Node itself reads no stream where there is an error. */
type Callback = (error: Error | null, stream: Duplex) => void;

export class RedirectedAgent extends Agent {
	readonly dialer: Dialer;

	constructor({ redirection, dialer, ...options }: AgentOptions & Redirected = {}) {
		super(options);
		this.dialer = dialerOf({ ...(dialer ? { dialer } : {}), ...(redirection ? { redirection } : {}) });
	}

	override createConnection(options: ClientRequestArgs, callback?: Callback): undefined {
		pass(this.dialer.dial(options as TcpNetConnectOpts), callback);
	}
}

export class RedirectedSecureAgent extends SecureAgent {
	readonly dialer: Dialer;

	constructor({ redirection, dialer, ...options }: SecureAgentOptions & Redirected = {}) {
		super(options);
		this.dialer = dialerOf({ ...(dialer ? { dialer } : {}), ...(redirection ? { redirection } : {}) });
	}

	override createConnection(options: RequestOptions, callback?: Callback): undefined {
		const dialled = this.dialer.dial(options as TcpNetConnectOpts);
		pass(
			dialled.then((socket) => withTls(socket, options as SecureOptions)),
			callback,
		);
	}
}

/** The options of an undici connector that this one reads. */
export interface ConnectorOptions {
	readonly hostname: string;
	readonly port: string | number;
	readonly protocol: string;
	readonly servername?: string | null | undefined;
	readonly localAddress?: string | null | undefined;
	readonly httpSocket?: Socket | undefined;
}

/** For `new Agent({ connect: connector() })` of undici, and so for fetch. `secure` is passed to tls.connect. */
export function connector(options: Redirected = {}, secure: SecureOptions = {}) {
	const dialer = dialerOf(options);
	return (to: ConnectorOptions, callback: (...result: [Error, null] | [null, Socket]) => void): void => {
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
					callback(null, socket);
					return;
				}
				const servername = to.servername || (isIP(host) ? "" : host);
				const wrapped = withTls(socket, { ALPNProtocols: ["http/1.1"], ...secure, host, servername });
				wrapped.once("secureConnect", () => {
					wrapped.removeListener("error", failed);
					callback(null, wrapped);
				});
				const failed = (error: Error) => callback(error, null);
				wrapped.once("error", failed);
			},
			(error: Error) => callback(error, null),
		);
	};
}

function pass(stream: Promise<Duplex>, callback: Callback | undefined): void {
	stream.then(
		(ready) => callback?.(null, ready),
		(error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
	);
}

function withTls(socket: Socket, options: SecureOptions & { readonly host?: string | null | undefined }) {
	const { host } = options;
	const servername = options.servername ?? (host && !isIP(host) ? host : "");
	return tlsConnect({ ...options, socket, servername } as SecureOptions);
}
