/**
 * Clients that speak MPTCP come straight to this backend (R35): its daemon is the host's path manager, and announces an
 * own address to each connection of a service with `redirect.mptcp`.
 *
 *   events of mptcp_pm → connections → announce, withdraw, MP_PRIO
 *   sock_diag, four times a second or less → connections → bytes of direct subflows
 *
 * Owns: the path manager, and three kernel parameters (the undo log has their original values): net.mptcp.pm_type or
 * path_manager, and allow_join_initial_addr_port, without which a client would open further subflows to the service's
 * address, each of which a gateway may send to another backend.
 * Must never: touch a connection of another program, or the endpoints of the kernel's own path manager.
 */
import { readFileSync } from "node:fs";
import {
	addressText,
	type Backend,
	type Config,
	holdsAddress,
	parseAddress,
	parseServiceAddress,
	redirectionsOf,
	type Service,
} from "../config/index.js";
import { host, type MptcpPathManager, type MptcpSubflow, type TcpEndpoint } from "../engine/index.js";
import { type LocalSocket, receives } from "../health/index.js";
import type { Sysctls } from "../host/sysctls.js";
import type { LoadReport } from "../load/index.js";
import type { MptcpTotals } from "../member/role.js";
import { warnOnce } from "../member/warn-once.js";
import {
	type MptcpCommand as Command,
	type MptcpSubflow as Listed,
	MptcpConnections,
	type MptcpEndpoint,
	type OwnAddress,
} from "./mptcp-connections.js";
import { OwnShares } from "./own-shares.js";

const LEAST_INTERVAL_MS = 250;
/** Of the time, a list of subflows may take this part. */
const MOST_PART = 0.1;
/** Own addresses are announced with ids from here on: the kernel gives out the lowest free ones. */
const FIRST_ID = 128;
const LAST_ID = 255;

const ENABLED = "net.mptcp.enabled";
const JOIN_FIRST_ADDRESS = "net.mptcp.allow_join_initial_addr_port";
/** Of Linux 6.15 and later, then of 5.19 and later. */
const MANAGERS = [
	{ name: "net.mptcp.path_manager", userSpace: "userspace" },
	{ name: "net.mptcp.pm_type", userSpace: "1" },
] as const;

export interface MptcpSources {
	readonly self: Backend;
	readonly load: Config["load"];
	readonly services: readonly Service[];
	readonly report: LoadReport | undefined;
}

/** A port of one service here. */
interface Place {
	readonly service: Service;
	readonly first: number;
	readonly last: number;
}

export class MptcpRedirector {
	#connections = new MptcpConnections();
	readonly #shares = new OwnShares();
	readonly #sysctls: Sysctls;
	readonly #sources: () => MptcpSources;
	readonly #warnOnce: (problem: string) => void;
	#manager: MptcpPathManager | undefined;
	#timer: NodeJS.Timeout | undefined;
	/** Why clients of these services stay with the gateway. */
	#advice: readonly string[] = [];

	/** `warn` gets each different problem once. */
	constructor(sysctls: Sysctls, sources: () => MptcpSources, warn: (problem: string) => void) {
		this.#sysctls = sysctls;
		this.#sources = sources;
		this.#warnOnce = warnOnce(warn);
	}

	/** Now and after each new configuration: begins or ends as the services demand. */
	update(): void {
		const { self, services } = this.#sources();
		if (placesOf(self, services).length === 0) this.close();
		else if (this.#manager === undefined) this.#start();
		else this.#configure();
	}

	/** null: no service is configured for it. */
	totals(): MptcpTotals | null {
		return this.#manager === undefined && this.#advice.length === 0 ? null : this.#connections.totals();
	}

	advice(): readonly string[] {
		return this.#advice;
	}

	/** Connections stay as they are: a direct subflow needs no daemon. */
	close(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#manager?.close();
		this.#manager = undefined;
		this.#connections = new MptcpConnections();
		this.#advice = [];
		this.#sysctls.restore([...MANAGERS.map(({ name }) => name), JOIN_FIRST_ADDRESS]);
	}

	#start(): void {
		const missing = missingSupport();
		if (missing !== undefined) {
			this.#advice = [missing];
			this.#warnOnce(missing);
			return;
		}
		try {
			// The manager first: from then on the kernel accepts further subflows.
			this.#manager = new (host().MptcpPathManager)((events, lost, error) => {
				const now = performance.now();
				if (error !== null) this.#warnOnce(`MPTCP's events cannot be received: ${error.message}`);
				for (const { local, remote, ...event } of events)
					this.#run(this.#connections.event({ ...event, local: textOf(local), remote: textOf(remote) }, now));
				if (lost) this.#list().catch(() => {}); // the next tick reports it
			});
			const manager = MANAGERS.find(({ name }) => read(name) !== undefined)!;
			this.#sysctls.set(JOIN_FIRST_ADDRESS, "0");
			this.#sysctls.set(manager.name, manager.userSpace);
		} catch (error) {
			this.close();
			this.#advice = [`MPTCP clients stay with the gateway: ${(error as Error).message}`];
			this.#warnOnce(this.#advice[0]!);
			return;
		}
		void this.#tick(this.#manager);
	}

	async #tick(manager: MptcpPathManager): Promise<void> {
		if (this.#manager !== manager) return;
		const began = performance.now();
		try {
			this.#configure();
			await Promise.all([this.#list(), this.#look()]);
		} catch (error) {
			this.#warnOnce(`MPTCP's subflows cannot be listed: ${(error as Error).message}`);
		}
		if (this.#manager !== manager) return;
		const interval = Math.max(LEAST_INTERVAL_MS, (performance.now() - began) / MOST_PART);
		this.#timer = setTimeout(() => this.#tick(manager), interval).unref();
	}

	#configure(): void {
		const { self, services, load, report } = this.#sources();
		const now = performance.now();
		const shares = this.#shares.update(self, load, report, now);
		const places = placesOf(self, services);
		const own = self.addresses.slice(0, LAST_ID - FIRST_ID + 1).map(
			(address, i): OwnAddress => ({
				address,
				id: FIRST_ID + i,
				share: self.state === "active" ? (shares.get(address) ?? 0) : 0,
			}),
		);
		const portFor = (local: MptcpEndpoint) => {
			const place = places.find((one) => holds(one, local));
			if (place === undefined) return undefined;
			const { port, portLast } = place.service;
			return local.port >= port && local.port <= portLast ? 0 : local.port;
		};
		this.#run(this.#connections.configure({ portFor, own }, now));
	}

	async #list(): Promise<void> {
		const { self, services } = this.#sources();
		const connections = this.#connections;
		const pending = connections.beginList();
		try {
			const subflows = await host().mptcpSubflows(portsOf(placesOf(self, services)));
			this.#run(connections.list(subflows.map(listed), pending, performance.now()));
		} finally {
			connections.cancelList(pending);
		}
	}

	#run(commands: readonly Command[]): void {
		const manager = this.#manager;
		if (manager === undefined) return;
		for (const command of commands) {
			const { token } = command;
			try {
				if (command.do === "announce") manager.announce(token, command.id, bytesOf(command.endpoint));
				else if (command.do === "withdraw") manager.withdraw(token, command.id);
				else manager.setBackup(token, bytesOf(command.local), bytesOf(command.remote), command.backup);
			} catch (error) {
				// It has closed meanwhile, or began before this daemon became the path manager.
				if ((error as NodeJS.ErrnoException).code !== "EINVAL")
					this.#warnOnce(`MPTCP: ${command.do} was refused: ${(error as Error).message}`);
				else if (command.do === "announce") this.#connections.refuse(token);
			}
		}
	}

	/** Why clients stay with the gateway: places at own addresses without a socket, or without one of MPTCP. */
	async #look(): Promise<void> {
		const { self, services } = this.#sources();
		const places = placesOf(self, services).filter(({ first, last }) => first === last);
		const sockets = (await host().boundSockets("tcp", [...new Set(places.map(({ first }) => first))])).map((one) => ({
			...one,
			address: addressText(one.address),
		}));
		const endpoints = this.#manager?.kernelEndpoints() ?? 0;
		const advice = new Set(places.flatMap((place) => adviceOf(place, self, sockets)));
		if (endpoints > 0) advice.add(endpointsAdvice(endpoints));
		this.#advice = [...advice];
	}
}

function adviceOf({ service, first }: Place, self: Backend, sockets: readonly (LocalSocket & { mptcp: boolean })[]) {
	const own = self.addresses.filter((address) => address.includes(":") === (service.family === 6));
	if (own.length === 0)
		return [
			`${self.name} has no IPv${service.family} address of its own, so MPTCP clients of ${service.address} stay with the gateway`,
		];
	return own.flatMap((address) => {
		const at = address.includes(":") ? `[${address}]:${first}` : `${address}:${first}`;
		const here = sockets.filter((one) => one.port === first && receives(one, address));
		if (here.length === 0)
			return [
				`nothing listens at tcp ${at} on this host, so MPTCP clients stay with the gateway; bind the service's program to the wildcard address`,
			];
		if (here.some(({ mptcp }) => mptcp)) return [];
		return [`what listens at tcp ${at} on this host does not accept MPTCP; start its program by mptcpize run`];
	});
}

function endpointsAdvice(count: number): string {
	const what = count === 1 ? "1 MPTCP endpoint" : `${count} MPTCP endpoints`;
	return `${what} of this host (ip mptcp endpoint) have no effect on new connections while a service has redirect.mptcp; remove them, or the field`;
}

/** undefined: this kernel has all that is needed. */
function missingSupport(): string | undefined {
	const stay = "so MPTCP clients stay with the gateway";
	if (read(ENABLED) === undefined) return `this kernel has no MPTCP, ${stay}; use one with CONFIG_MPTCP`;
	if (!MANAGERS.some(({ name }) => read(name) !== undefined))
		return `this kernel has no MPTCP path manager for user space, ${stay}; use Linux 6.1 or later`;
	if (read(ENABLED) !== "1") return `${ENABLED} is 0 on this host, ${stay}; set it to 1 and start the daemon again`;
	return undefined;
}

function read(name: string): string | undefined {
	try {
		return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
	} catch {
		return undefined;
	}
}

/** Of the services whose MPTCP clients come directly, where this backend serves them. */
function placesOf(self: Backend, services: readonly Service[]): Place[] {
	const found = new Map<string, Place>();
	for (const service of services)
		if (service.mptcp)
			for (const { choices } of redirectionsOf(service))
				for (const { backend, port } of choices) {
					const ports = port === 0 ? { first: service.port, last: service.portLast } : { first: port, last: port };
					if (backend === self.name) found.set(`${service.key} ${port}`, { service, ...ports });
				}
	return [...found.values()];
}

function holds({ service, first, last }: Place, { address, port }: MptcpEndpoint): boolean {
	if (port < first || port > last) return false;
	if (service.addressLength === 128) return service.address === address;
	const prefix = parseServiceAddress(service.address);
	return prefix !== undefined && holdsAddress(prefix, parseAddress(address)!.bytes);
}

function portsOf(places: readonly Place[]): number[] {
	const ports = new Set<number>();
	for (const { first, last } of places) for (let port = first; port <= last; port++) ports.add(port);
	return [...ports];
}

function textOf({ address, port }: TcpEndpoint): MptcpEndpoint {
	return { address: addressText(address), port };
}

function bytesOf({ address, port }: MptcpEndpoint): TcpEndpoint {
	return { address: parseAddress(address)!.bytes, port };
}

function listed({ local, remote, ...rest }: MptcpSubflow): Listed {
	return { ...rest, local: textOf(local), remote: textOf(remote) };
}
