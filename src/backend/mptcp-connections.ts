/**
 * The MPTCP connections of a backend's services, and what follows from each event for them (RFC 8684).
 *
 *   connection to a service's address   announce one of the backend's own addresses to its client
 *   a subflow to an own address begins  the first subflow, which comes by the gateway, becomes a backup
 *   the last of these ends              the first is no backup any more; announce again after RETRY_MS
 *   the address may not be used         withdraw it; if another may be used, announce that one
 *
 * Owns: the state of each connection, and the totals.
 * Must never: call the kernel, or touch a connection to an address that is no service's.
 */
import type { MptcpTotals } from "../member/role.js";

export interface MptcpEndpoint {
	/** In canonical spelling. */
	readonly address: string;
	readonly port: number;
}

export interface MptcpEvent {
	readonly type: "established" | "closed" | "subflow-established" | "subflow-closed";
	readonly token: number;
	readonly localId: number;
	readonly local: MptcpEndpoint;
	readonly remote: MptcpEndpoint;
}

/** One of the kernel's list. */
export interface MptcpSubflow extends Omit<MptcpEvent, "type"> {
	/** Not the connection's first one. */
	readonly joined: boolean;
	readonly bytesReceived: number;
	readonly bytesSent: number;
}

export type MptcpCommand =
	| { readonly do: "announce"; readonly token: number; readonly id: number; readonly endpoint: MptcpEndpoint }
	| { readonly do: "withdraw"; readonly token: number; readonly id: number }
	| {
			readonly do: "backup";
			readonly token: number;
			readonly local: MptcpEndpoint;
			readonly remote: MptcpEndpoint;
			readonly backup: boolean;
	  };

/** An address of the backend's own. */
export interface OwnAddress {
	readonly address: string;
	/** In the announcement: 1 to 255. */
	readonly id: number;
	/** Of new connections, relative to the others of its family; 0: it may not be used. */
	readonly share: number;
}

export interface MptcpPolicy {
	/** Of the local address and port of a service whose clients are to come directly, the port that is announced with an
	 * own address; 0: the port that the client uses already. undefined: no such service. */
	readonly portFor: (local: MptcpEndpoint) => number | undefined;
	readonly own: readonly OwnAddress[];
}

/** A list of subflows that the kernel is asked for. */
export interface PendingList {
	/** Tokens of connections, and tokens with keys of subflows, that have closed meanwhile. */
	readonly closed: Set<string>;
	/** Connections known when it was asked for. */
	readonly before: ReadonlySet<number>;
}

interface DirectSubflow {
	bytesReceived: number;
	bytesSent: number;
}

interface Connection {
	readonly token: number;
	/** By the gateway; undefined: it has ended. */
	first: { readonly local: MptcpEndpoint; readonly remote: MptcpEndpoint } | undefined;
	readonly family: 4 | 6;
	announced: OwnAddress | undefined;
	isBackup: boolean;
	/** Not to be announced to before this time. */
	retryAt: number;
	/** By local and remote endpoint. */
	readonly direct: Map<string, DirectSubflow>;
}

/** A client whose direct subflow has failed gets the next announcement after this time. */
export const RETRY_MS = 30_000;

const NOTHING: MptcpPolicy = { portFor: () => undefined, own: [] };

export class MptcpConnections {
	readonly #connections = new Map<number, Connection>();
	/** Tokens of connections that the kernel takes no command for. */
	readonly #refused = new Set<number>();
	/** What has closed since each list was asked for that is not there yet: tokens, and keys of subflows. */
	readonly #pendingLists = new Set<PendingList>();
	#policy = NOTHING;
	#joined = 0;
	#bytesReceived = 0;
	#bytesSent = 0;

	/** Other services, addresses or shares from now on. */
	configure(policy: MptcpPolicy, now: number): MptcpCommand[] {
		this.#policy = policy;
		const commands: MptcpCommand[] = [];
		for (const connection of this.#connections.values()) {
			const { first, announced } = connection;
			const served = first === undefined || policy.portFor(first.local) !== undefined;
			const usable = policy.own.some(({ address, share }) => address === announced?.address && share > 0);
			if (announced !== undefined && !(served && usable)) commands.push(...this.#withdraw(connection));
			if (!served) this.#connections.delete(connection.token);
		}
		return [...commands, ...this.retry(now)];
	}

	/** Announcements that are due. */
	retry(now: number): MptcpCommand[] {
		return [...this.#connections.values()].flatMap((connection) => this.#announce(connection, now));
	}

	event(event: MptcpEvent, now: number): MptcpCommand[] {
		const { type, token, local, remote } = event;
		const connection = this.#connections.get(token);
		switch (type) {
			case "established":
				return connection === undefined && this.#serves(local) ? this.#add(token, local, remote, now) : [];
			case "closed":
				for (const { closed } of this.#pendingLists) closed.add(`${token}`);
				this.#connections.delete(token);
				this.#refused.delete(token);
				return [];
			case "subflow-established":
				return connection === undefined ? [] : this.#joinedBy(connection, local, remote);
			case "subflow-closed":
				for (const { closed } of this.#pendingLists) closed.add(`${token} ${keyOf(local, remote)}`);
				return connection === undefined ? [] : this.#ended(connection, local, remote, now);
		}
	}

	/** Call it before the kernel is asked for its list: events go on while it answers. */
	beginList(): PendingList {
		const pending = { closed: new Set<string>(), before: new Set(this.#connections.keys()) };
		this.#pendingLists.add(pending);
		return pending;
	}

	/** All subflows that the kernel has at the services' ports: what events did not tell, and what each has carried.
	 * Connections that it has no more are forgotten. */
	list(all: readonly MptcpSubflow[], pending: PendingList, now: number): MptcpCommand[] {
		const { closed, before: known } = pending;
		const commands: MptcpCommand[] = [];
		const subflows = all.filter(
			({ token, local, remote }) => !closed.has(`${token}`) && !closed.has(`${token} ${keyOf(local, remote)}`),
		);
		this.cancelList(pending);
		this.#forget(subflows, known);
		const firsts = subflows.filter(({ joined, local }) => !joined && this.#serves(local));
		for (const { token, local, remote } of firsts) {
			// Its announcement, made before the daemon's restart, is known by its subflow.
			const before = subflows.find((one) => one.token === token && this.#own(one.local.address) !== undefined);
			if (!this.#connections.has(token) && !this.#refused.has(token))
				commands.push(...this.#add(token, local, remote, now, before));
		}
		for (const { token, local, remote, bytesReceived, bytesSent } of subflows) {
			const connection = this.#connections.get(token);
			if (connection === undefined) continue;
			commands.push(...this.#joinedBy(connection, local, remote));
			const direct = connection.direct.get(keyOf(local, remote));
			if (direct === undefined) continue;
			this.#bytesReceived += Math.max(0, bytesReceived - direct.bytesReceived);
			this.#bytesSent += Math.max(0, bytesSent - direct.bytesSent);
			direct.bytesReceived = bytesReceived;
			direct.bytesSent = bytesSent;
		}
		return commands;
	}

	/** The kernel did not answer. */
	cancelList(pending: PendingList): void {
		this.#pendingLists.delete(pending);
	}

	/** `before`: connections known when the list was asked for. */
	#forget(subflows: readonly MptcpSubflow[], before: ReadonlySet<number>): void {
		const tokens = new Set(subflows.map(({ token }) => token));
		for (const token of before) if (!tokens.has(token)) this.#connections.delete(token);
		for (const token of this.#refused) if (!tokens.has(token)) this.#refused.delete(token);
	}

	/** The kernel refused an announcement to it: it has closed, or began while the kernel itself was the path manager. */
	refuse(token: number): void {
		this.#connections.delete(token);
		this.#refused.add(token);
	}

	totals(): MptcpTotals {
		const all = [...this.#connections.values()];
		return {
			connections: all.length,
			direct: all.filter(({ direct }) => direct.size > 0).length,
			subflows: all.reduce((sum, { direct }) => sum + direct.size, 0),
			joined: this.#joined,
			bytesReceived: this.#bytesReceived,
			bytesSent: this.#bytesSent,
		};
	}

	#add(token: number, local: MptcpEndpoint, remote: MptcpEndpoint, now: number, before?: MptcpSubflow): MptcpCommand[] {
		const own = before && this.#own(before.local.address);
		const connection: Connection = {
			token,
			first: { local, remote },
			family: familyOf(local.address),
			announced: own && { ...own, id: before.localId },
			isBackup: false,
			retryAt: 0,
			direct: new Map(),
		};
		this.#connections.set(token, connection);
		return this.#announce(connection, now);
	}

	#announce(connection: Connection, now: number): MptcpCommand[] {
		const { token, first, announced, retryAt } = connection;
		if (announced !== undefined || first === undefined || now < retryAt) return [];
		const own = this.#choose(connection);
		if (own === undefined) return [];
		connection.announced = own;
		const port = this.#policy.portFor(first.local) ?? 0;
		return [{ do: "announce", token, id: own.id, endpoint: { address: own.address, port } }];
	}

	/** By the shares, as the token falls: it is a part of a hash. */
	#choose({ token, family }: Connection): OwnAddress | undefined {
		const usable = this.#policy.own.filter(({ address, share }) => share > 0 && familyOf(address) === family);
		let point = (token / 2 ** 32) * usable.reduce((sum, { share }) => sum + share, 0);
		for (const own of usable) {
			point -= own.share;
			if (point < 0) return own;
		}
		return usable.at(-1);
	}

	#joinedBy(connection: Connection, local: MptcpEndpoint, remote: MptcpEndpoint): MptcpCommand[] {
		const key = keyOf(local, remote);
		if (this.#own(local.address) === undefined || connection.direct.has(key)) return [];
		connection.direct.set(key, { bytesReceived: 0, bytesSent: 0 });
		this.#joined++;
		return this.#setBackup(connection, true);
	}

	#ended(connection: Connection, local: MptcpEndpoint, remote: MptcpEndpoint, now: number): MptcpCommand[] {
		const { first, direct } = connection;
		if (first !== undefined && keyOf(first.local, first.remote) === keyOf(local, remote)) connection.first = undefined;
		if (!direct.delete(keyOf(local, remote)) || direct.size > 0) return [];
		// An address that was withdrawn has been replaced already, or may not be.
		if (connection.announced?.address !== local.address) return this.#setBackup(connection, false);
		connection.retryAt = now + RETRY_MS;
		return this.#withdraw(connection);
	}

	/** Without its direct subflows a connection is as before: a client closes them when their address is withdrawn. */
	#withdraw(connection: Connection): MptcpCommand[] {
		const { token, announced } = connection;
		connection.announced = undefined;
		const commands: MptcpCommand[] = this.#setBackup(connection, false);
		return announced === undefined ? commands : [...commands, { do: "withdraw", token, id: announced.id }];
	}

	#setBackup(connection: Connection, backup: boolean): MptcpCommand[] {
		const { token, first, isBackup } = connection;
		if (first === undefined || isBackup === backup) return [];
		connection.isBackup = backup;
		return [{ do: "backup", token, ...first, backup }];
	}

	#serves(local: MptcpEndpoint): boolean {
		return this.#policy.portFor(local) !== undefined;
	}

	#own(address: string): OwnAddress | undefined {
		return this.#policy.own.find((one) => one.address === address);
	}
}

function keyOf(local: MptcpEndpoint, remote: MptcpEndpoint): string {
	return `${local.address} ${local.port} ${remote.address} ${remote.port}`;
}

function familyOf(address: string): 4 | 6 {
	return address.includes(":") ? 6 : 4;
}
