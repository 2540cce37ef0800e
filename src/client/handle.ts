// handle.ts - the handle of a socket that is connecting: sends it to another address, or replaces it.
//
// Node itself replaces the handle of a connecting socket when a name has several addresses and the first does not
// answer (autoSelectFamily); a TLS socket wraps the new handle in its turn. The method that does so has a symbol for its
// name, the same one since Node 20. Node connects by a method of the handle, which may be replaced at one handle.
//
// Owns: what of Node's sockets is not public. Must never: run if that method is missing: canAdopt says so.

import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Endpoint } from "../wire/index.js";

/** An attempt of a handle to connect. */
interface ConnectRequest {
	oncomplete: (status: number, ...rest: unknown[]) => void;
}
type HandleConnect = (request: ConnectRequest, address: string, port: number) => number;

interface Handle {
	connect?: HandleConnect;
	connect6?: HandleConnect;
	/** What a TLS handle wraps. */
	readonly _parent?: Handle;
	readonly hasRef?: () => boolean;
	readonly setNoDelay?: (flag: boolean) => void;
	readonly setKeepAlive?: (flag: boolean, ...seconds: (number | undefined)[]) => void;
	readonly setTypeOfService?: (value: number) => void;
}

/** What net.Socket has, and its type does not. */
interface Internals {
	_handle: Handle | null;
	readonly blockList?: unknown;
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

/** Lets Node's own attempt of `socket`, which has not begun, go to another address. `ended` receives its status, 0 or an
 * error number, and says whether Node receives it too. Returns whether it is possible. */
export function divertConnect(socket: Socket, to: Endpoint, ended: (status: number) => boolean): boolean {
	const { _handle: handle, blockList } = socket as unknown as Internals;
	const connect = to.address.includes(":") ? handle?.connect6 : handle?.connect;
	if (handle == null || connect === undefined || blockList !== undefined) return false;
	const diverted: HandleConnect = (request) => {
		const { oncomplete } = request;
		request.oncomplete = (status, ...rest) => {
			if (ended(status)) oncomplete.call(request, status, ...rest);
		};
		const status = connect.call(handle, request, to.address, to.port);
		if (status !== 0) process.nextTick(ended, status);
		return 0;
	};
	handle.connect = diverted;
	handle.connect6 = diverted;
	return true;
}

/** Abandons the attempt of a socket that is connecting; it can be given another handle afterwards. */
export function renewHandle(socket: Socket): void {
	const { _handle: handle } = socket as unknown as Internals;
	if (handle === null) return;
	const Tcp = (handle._parent ?? handle).constructor as new (type: number) => Handle;
	replaceHandle(socket, new Tcp(TCP_SOCKET));
}

/** TCPConstants.SOCKET of Node. */
const TCP_SOCKET = 0;

/** `inner` is connected and has read nothing; `socket` is connecting. Afterwards `socket` is connected, and `inner` is
 * empty. */
export function adoptHandle(socket: Socket, inner: Socket): void {
	const to = socket as unknown as Internals;
	const from = inner as unknown as Internals;
	const handle = from._handle as Handle;
	from._handle = null;
	replaceHandle(socket, handle);
	inner.destroy();
	to.connecting = false;
	to._sockname = null;
	to._unrefTimer?.();
	applySettings(to);
	renewCallbacks(socket);
}

/** The handle that the socket had is closed. */
function replaceHandle(socket: Socket, handle: Handle): void {
	const to = socket as unknown as Internals;
	const referenced = to._handle?.hasRef?.() ?? true;
	// Node also resets what destroy() changed; of a socket that is not destroyed, that would undo end().
	to._undestroy = () => {};
	(to[REINITIALIZE as symbol] as (handle: unknown) => void).call(to, handle);
	delete to._undestroy;
	if (!referenced) socket.unref();
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
