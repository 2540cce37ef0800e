// connector.ts - a connector for undici, and so for fetch, whose connections follow redirects.
//
// Owns: what undici's own connector does: the time limit of a connection, and the TLS sessions of each server name.
// Must never: change a TLS identity: it is the service's.

import { isIP, connect as netConnect, type Socket } from "node:net";
import { type ConnectionOptions as SecureOptions, connect as tlsConnect } from "node:tls";
import { codedError } from "./coded-error.js";
import { dialerOf } from "./connection.js";
import type { Redirected } from "./http.js";
import { redirectConnect } from "./redirected-connect.js";

/** The options of an undici connector that this one reads. */
export interface ConnectorOptions {
	readonly hostname: string;
	readonly port: string | number;
	readonly protocol: string;
	readonly servername?: string | null | undefined;
	readonly localAddress?: string | null | undefined;
	readonly httpSocket?: Socket | undefined;
}

export interface ConnectorSettings extends SecureOptions {
	/** How long a connection may take, TLS included, in milliseconds; 0: any time. Default 10000. */
	readonly timeout?: number;
	/** TLS sessions that are stored, one for each server name. Default 100. */
	readonly maxCachedSessions?: number;
}

type Callback = (...result: [Error, null] | [null, Socket]) => void;

/** As undici has them: keep-alive of TCP, after a minute of silence. */
const KEEP_ALIVE_MS = 60_000;

/** For `new Agent({ connect: connector() })` of undici, and so for fetch. `settings` go to tls.connect and
 * net.connect. */
export function connector(redirection: Redirected = {}, settings: ConnectorSettings = {}) {
	const dialer = dialerOf(redirection, "agent");
	const { timeout = 10_000, maxCachedSessions = 100, ...secure } = settings;
	const sessions = new Map<string, Buffer>();
	const store = (name: string, session: Buffer) => {
		sessions.delete(name);
		if (maxCachedSessions > 0) sessions.set(name, session);
		const [oldest] = sessions.keys();
		if (sessions.size > maxCachedSessions && oldest !== undefined) sessions.delete(oldest);
	};

	const open = (to: ConnectorOptions, host: string): Socket => {
		const { protocol, localAddress, httpSocket } = to;
		const tls = protocol === "https:";
		const common = {
			...(secure as object),
			host,
			port: Number(to.port || (tls ? 443 : 80)),
			...(localAddress ? { localAddress } : {}),
		};
		if (!tls && httpSocket) return httpSocket;
		if (!tls) {
			const { options, attach } = redirectConnect(dialer, common);
			const socket = netConnect(options);
			attach(socket);
			return socket;
		}
		const servername = to.servername || secure.servername || (isIP(host) ? "" : host);
		const key = servername || host;
		const session = sessions.get(key);
		const wanted = { ALPNProtocols: ["http/1.1"], ...(session ? { session } : {}), ...common, servername };
		const { options, attach } = httpSocket
			? { options: { ...wanted, socket: httpSocket }, attach: () => {} }
			: redirectConnect(dialer, wanted);
		const socket = tlsConnect(options);
		attach(socket);
		socket.on("session", (fresh) => store(key, fresh));
		socket.once("error", () => sessions.delete(key));
		return socket;
	};

	return (to: ConnectorOptions, callback: Callback): Socket => {
		const host = to.hostname.replace(/^\[(.*)\]$/, "$1");
		const socket = open(to, host);
		const ready = to.protocol === "https:" ? "secureConnect" : "connect";
		const late = () =>
			socket.destroy(codedError("UND_ERR_CONNECT_TIMEOUT", `${host} port ${to.port}: no connection in ${timeout} ms`));
		const timer = timeout > 0 ? setTimeout(late, timeout) : undefined;
		let pending = true;
		const end = (...result: Parameters<Callback>) => {
			clearTimeout(timer);
			if (pending) callback(...result);
			pending = false;
		};
		socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
		if (socket === to.httpSocket && !socket.connecting) process.nextTick(end, null, socket);
		else socket.once(ready, () => end(null, socket));
		socket.on("error", (error) => end(error, null));
		return socket;
	};
}
