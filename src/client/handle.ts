// handle.ts - gives the handle of a connected socket to a socket that is still connecting.
//
// Node itself replaces the handle of a connecting socket when a name has several addresses and the first does not
// answer (autoSelectFamily); a TLS socket wraps the new handle in its turn. The method that does so has a symbol for its
// name, the same one since Node 20.
//
// Owns: what of Node's sockets is not public. Must never: run if that method is missing: canAdopt says so.

import { Socket } from "node:net";
import { TLSSocket } from "node:tls";

interface Handle {
	readonly hasRef?: () => boolean;
	readonly setNoDelay?: (flag: boolean) => void;
	readonly setKeepAlive?: (flag: boolean, ...seconds: (number | undefined)[]) => void;
	readonly setTypeOfService?: (value: number) => void;
}

/** What net.Socket has, and its type does not. */
interface Internals {
	_handle: Handle | null;
	connecting: boolean;
	_sockname: unknown;
	_unrefTimer?: () => void;
	_undestroy?: () => void;
	[reinitialize: symbol]: unknown;
}

function symbolOf(object: object, name: string): symbol | undefined {
	return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === name);
}

const REINITIALIZE = symbolOf(Socket.prototype, "kReinitializeHandle");

/** Whether this version of Node can. If not, all connections stay with the gateway. */
export const canAdopt = REINITIALIZE !== undefined && Object.hasOwn(TLSSocket.prototype, REINITIALIZE);

/** `inner` is connected and has read nothing; `socket` is connecting. Afterwards `socket` is connected, and `inner` is
 * empty. */
export function adoptHandle(socket: Socket, inner: Socket): void {
	const to = socket as unknown as Internals;
	const from = inner as unknown as Internals;
	const handle = from._handle;
	from._handle = null;
	const referenced = to._handle?.hasRef?.() ?? true;
	// Node also resets what destroy() changed; of a socket that is not destroyed, that would undo end().
	to._undestroy = () => {};
	(to[REINITIALIZE as symbol] as (handle: unknown) => void).call(to, handle);
	delete to._undestroy;
	if (!referenced) socket.unref();
	inner.destroy();
	to.connecting = false;
	to._sockname = null;
	to._unrefTimer?.();
	applySettings(to);
	renewCallbacks(socket);
}

/** TLS has callbacks that Node turns on when the first listener is added, and not again for another handle. */
function renewCallbacks(socket: Socket): void {
	const listener = () => {};
	for (const event of ["session", "keylog"]) {
		if (socket.listenerCount(event) === 0) continue;
		socket.on(event, listener);
		socket.removeListener(event, listener);
	}
}

const settingSymbols = new Map<string, symbol>();

/** Settings that the program made while the socket was connecting, or gave as options. */
function applySettings(socket: Internals): void {
	const value = (name: string) => {
		const symbol = settingSymbols.get(name) ?? symbolOf(socket, name);
		if (symbol === undefined) return undefined;
		settingSymbols.set(name, symbol);
		return socket[symbol] as number | undefined;
	};
	const handle = socket._handle;
	if (value("kSetNoDelay")) handle?.setNoDelay?.(true);
	if (value("kSetKeepAlive")) {
		const seconds = ["kSetKeepAliveInitialDelay", "kSetKeepAliveInterval", "kSetKeepAliveCount"].map(value);
		handle?.setKeepAlive?.(true, ...seconds);
	}
	const service = value("kSetTOS");
	if (service !== undefined) handle?.setTypeOfService?.(service);
}
