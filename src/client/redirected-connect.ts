// redirected-connect.ts - the options that make Node's own socket connect to a service's target.
//
// The socket exists from the start, as Node's own: timeouts, signals and destroy() hold from the first moment. If the
// target of a literal address, or of a name with one address, is known, Node's own attempt goes to it. Otherwise Node is
// kept in its look-up, the program's or its own, until the path is known or a target has been attempted: if a target
// accepts, the socket takes over the attempt's handle; if none does, the look-up is answered, and Node connects to the
// service by itself. A literal address whose path is the gateway is not touched.
//
// Owns: what the look-up is, and what Node sees of it. Must never: change an option of the program's that does not
// concern the look-up.

import { lookup as dnsLookup } from "node:dns";
import { isIP, type LookupFunction, type Socket, type TcpNetConnectOpts } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { canonicalEndpoint } from "../wire/index.js";
import { ConnectionPath, type PathFinder } from "./connection-path.js";
import { canAdopt } from "./handle.js";

export interface RedirectedConnect<T> {
	readonly options: T;
	/** To be called with the socket that connects with these options, before the turn ends. */
	attach(socket: Socket): void;
}

type ConnectOptions = TcpNetConnectOpts & {
	readonly path?: string | undefined;
	readonly checkServerIdentity?: typeof checkServerIdentity;
};

interface Found {
	readonly address: string;
	readonly family: number | undefined;
}

/** Invalid options are returned as they are: Node reports them. */
export function redirectConnect<T extends object>(finder: PathFinder, given: T): RedirectedConnect<T> {
	const { host = "localhost", port, path, lookup } = given as unknown as ConnectOptions;
	const number = Number(port);
	const valid = typeof host === "string" && Number.isInteger(number) && number > 0 && number < 65_536 && !path;
	if (!canAdopt || !valid || (lookup != null && typeof lookup !== "function"))
		return { options: given, attach: () => {} };
	return isIP(host) ? literalConnect(finder, given, host, number) : namedConnect(finder, given, number);
}

function namedConnect<T extends object>(finder: PathFinder, given: T, port: number): RedirectedConnect<T> {
	const options = given as unknown as ConnectOptions;
	const ownLookup = (options.lookup ?? dnsLookup) as LookupFunction;
	let socket: Socket | undefined;
	let connection: ConnectionPath | undefined;
	const lookup: LookupFunction = (name, lookupOptions, callback) => {
		ownLookup(name, lookupOptions, (error, found, family) => {
			const answer = (failure: Error | null) => callback((failure ?? error) as typeof error, found as string, family);
			const addresses = (Array.isArray(found) ? found : [{ address: found, family }]) as Found[];
			const first = error ? undefined : addresses[0]?.address;
			const service = typeof first === "string" ? canonicalEndpoint(first, port) : undefined;
			if (service === undefined || socket?.destroyed || !finder.isService(service, name)) {
				answer(null);
				return;
			}
			connection = new ConnectionPath(finder, service, options, {
				answer,
				adopting: (made) => {
					for (const one of addresses) made.emit("lookup", null, one.address, one.family, name);
				},
			});
			if (addresses.length === 1 && socket !== undefined && connection.divert(socket)) {
				answer(null);
				return;
			}
			connection.start();
			if (socket !== undefined) connection.attach(socket);
		});
	};
	const attach = (made: Socket) => {
		socket = made;
		connection?.attach(made);
	};
	return { options: { ...given, lookup }, attach };
}

function literalConnect<T extends object>(
	finder: PathFinder,
	given: T,
	host: string,
	port: number,
): RedirectedConnect<T> {
	const options = given as unknown as ConnectOptions;
	const service = canonicalEndpoint(host, port);
	let answer: (failure: Error | null) => void = () => {};
	const connection =
		service === undefined || !finder.isService(service, undefined)
			? undefined
			: new ConnectionPath(finder, service, options, { answer: (failure) => answer(failure), adopting: () => {} });
	if (connection === undefined || connection.staysAtGateway) return { options: given, attach: () => {} };
	if (connection.canDivert)
		return {
			options: given,
			attach: (made) => void connection.divert(made),
		};
	// Node looks no address up. A name that stands for the address leads it to the look-up.
	const name = `${host}.`;
	const lookup: LookupFunction = (_name, _options, callback) => {
		answer = (failure) => callback(failure as NodeJS.ErrnoException | null, host, isIP(host));
		connection.start();
	};
	const identity = options.checkServerIdentity ?? checkServerIdentity;
	const { autoSelectFamily } = options;
	const changed = {
		host: name,
		lookup,
		// One address is found; a value that Node refuses stays.
		...(autoSelectFamily == null || typeof autoSelectFamily === "boolean" ? { autoSelectFamily: false } : {}),
		checkServerIdentity: (asked: string, certificate: PeerCertificate) =>
			identity(asked === name ? host : asked, certificate),
	};
	const attach = (made: Socket) => {
		(made as { _host?: unknown })._host = null; // as after a literal address
		connection.attach(made);
	};
	return { options: { ...given, ...changed }, attach };
}
