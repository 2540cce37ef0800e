/**
 * The backend's role.
 *
 *   prepare    receive offloads off, sysctls; for a user-space engine the tun device
 *   hostFacts  while it drains: next hops to the other targets, to which it forwards packets of unknown sessions
 *   apply      service addresses, firewall rules (this kernel drops what the engine takes), reply rewrite
 *   start      load measurement, the reporter that answers gateways, announcements to MPTCP clients
 *
 * The engine verifies a packet from the tunnel and delivers the client's packet to this kernel. The user-space engine
 * delivers by a tun device, which carries the service addresses and is gone when the daemon ends. A kernel engine
 * delivers on the interface that the packet came by; the service addresses are on lo, where they outlive the daemon as
 * the engine does. The local service sees the client's address, and its reply leaves from the service address straight
 * to the client (direct server return).
 *
 * Must never: leave a trace at a clean end. What a crash leaves (sysctls, offloads, with a kernel engine addresses and
 * the reply rewrite) is in the undo log for the next start.
 */
import { closeSync } from "node:fs";
import {
	type Backend,
	type Config,
	identityOf,
	parseAddress,
	redirectionsOf,
	type Service,
	tunnelSources,
} from "../config/index.js";
import { directEndpoints, type HostFacts, type Snapshot, type Target } from "../database/index.js";
import { type EngineOptions, host } from "../engine/index.js";
import { ShuntError } from "../errors.js";
import { ALL_UNKNOWN } from "../health/index.js";
import { ServiceAddresses } from "../host/addresses.js";
import { command } from "../host/command.js";
import { Firewall } from "../host/firewall.js";
import { interfaceAddresses, requireInterface } from "../host/interfaces.js";
import { NextHops } from "../host/next-hops.js";
import { type EngineMode, Offloads } from "../host/offloads.js";
import { Sysctls } from "../host/sysctls.js";
import { UndoLog } from "../host/undo-log.js";
import { type LoadReport, MOST_UNBOUND } from "../load/index.js";
import { type Drift, DriftEvents } from "../member/drift.js";
import { LoadMeter, type TcpEndpoint } from "../member/load-meter.js";
import type { Pending } from "../member/readiness.js";
import type { MemberEvent, MemberView, MptcpTotals, Role, TableInputs } from "../member/role.js";
import { VERSION } from "../member/version.js";
import { workersFor } from "../member/workers.js";
import { CHOICE, ROLE, strategyOf } from "../policy/index.js";
import { backendRules } from "./firewall-rules.js";
import { MptcpRedirector } from "./mptcp.js";
import { PortWatch, servicePlaces } from "./port-watch.js";
import { ReplyRewrite } from "./reply-rewrite.js";
import { Reporter } from "./reporter.js";

const TUN = "shunt0";
/** What the tunnel delivers has fitted a link already; the tun device must not fragment it. */
const TUN_MTU = 65_535;
/** From the farewell to the end of the engine. */
const LEAVE_MS = 250;

export class BackendRole implements Role {
	readonly kind = "backend";
	readonly observesEgress = true;
	readonly backends = undefined;
	readonly #self: Backend;
	readonly #undoLog: UndoLog;
	readonly #offloads: Offloads;
	readonly #sysctls: Sysctls;
	readonly #firewall: Firewall;
	readonly #replies: ReplyRewrite;
	readonly #nextHops = new NextHops();
	readonly #warn: (problem: string) => void;
	readonly #driftEvents: DriftEvents;
	#interfaces: readonly string[] = [];
	#userSpace = false;
	/** On lo or on the tun device, as prepare() decides. */
	#addresses: ServiceAddresses | undefined;
	/** On the other of the two: those that a daemon with another engine left when it was killed. */
	#staleAddresses: ServiceAddresses | undefined;
	/** Descriptor of the tun device, which exists as long as it is open. */
	#tun: number | undefined;
	#member: MemberView | undefined;
	#loadMeter: LoadMeter | undefined;
	#reporter: Reporter | undefined;
	#ports: PortWatch | undefined;
	/** The operator's overrides, as gateways were told of them last. */
	#overrideTold = "";
	#mptcp: MptcpRedirector | undefined;

	constructor(
		config: Config,
		readonly name: string,
		emit: (event: MemberEvent) => void,
	) {
		this.#self = config.backends.find((one) => one.name === name) as Backend;
		this.#undoLog = new UndoLog(name);
		this.#offloads = new Offloads(this.#undoLog);
		this.#sysctls = new Sysctls(this.#undoLog);
		this.#driftEvents = new DriftEvents(emit);
		this.#warn = (problem) => emit({ event: "warning", problem });
		this.#firewall = new Firewall(name, this.#warn);
		this.#replies = new ReplyRewrite(new Firewall(`${name}_reply_port`, this.#warn, this.#undoLog));
	}

	async checkHost({ backends }: Config): Promise<void> {
		const { addresses } = backends.find((one) => one.name === this.name) ?? this.#self;
		const here = new Set((await interfaceAddresses()).map(({ address }) => parseAddress(address)?.text));
		if (addresses.some((address) => here.has(address))) return;
		throw new ShuntError("SHUNT_ADDRESS_ELSEWHERE", { name: this.name, addresses: addresses.join(", ") });
	}

	async interfaces(): Promise<readonly string[]> {
		this.#interfaces = await this.#findInterfaces();
		return this.#interfaces;
	}

	async prepare(config: Config, mode: EngineMode): Promise<Pick<EngineOptions, "workers" | "tun">> {
		this.#userSpace = mode === "user";
		for (const name of this.#interfaces) {
			this.#offloads.turnOff(name, mode);
			// Several backends may share a segment with the service address: none of them may answer ARP for it.
			this.#sysctls.setIpv4(name, "arp_ignore", "1");
			this.#sysctls.setIpv4(name, "arp_announce", "2");
		}
		const workers = workersFor(this.#interfaces, config).map((worker) => ({ ...worker, sent: true }));
		const onLoopback = new ServiceAddresses("lo", this.#undoLog);
		const onTun = new ServiceAddresses(TUN, this.#undoLog);
		if (!this.#userSpace) {
			// A client's packet comes by its gateway's link, while the route to the client may be by another one.
			for (const name of this.#interfaces) this.#sysctls.setIpv4(name, "rp_filter", "2");
			this.#addresses = onLoopback;
			this.#staleAddresses = onTun;
			return { workers };
		}
		this.#tun = openTun();
		await command("ip", ["link", "set", "dev", TUN, "up", "mtu", String(TUN_MTU)]);
		// Packets of clients come out of this device, while no route to a client is by it. 2 is loose mode; the kernel
		// applies the larger of this value and that for all interfaces, so a strict 1 there has no effect here.
		this.#sysctls.setIpv4(TUN, "rp_filter", "2");
		// Packets to an address that is being removed must not be forwarded back into the network.
		this.#sysctls.setIpv4(TUN, "forwarding", "0");
		this.#sysctls.setIpv6(TUN, "forwarding", "0");
		this.#addresses = onTun;
		this.#staleAddresses = onLoopback;
		return { workers, tun: this.#tun };
	}

	async attach(member: MemberView): Promise<void> {
		this.#member = member;
	}

	async apply(config: Config, snapshot: Snapshot): Promise<void> {
		await this.#addresses?.set([...new Set(snapshot.services.map((service) => service.address))]);
		await this.#staleAddresses?.close(); // only now: each of them is on the other device, too
		const places = this.#userSpace ? directEndpoints(snapshot, this.#self.addresses) : undefined;
		await this.#firewall.set(backendRules(this.#self.addresses, this.#interfaces, config.cluster, places));
		await this.#replies.set(this.#self, snapshot.services, config.sessions);
		this.#reporter?.listen(config, this.#self.addresses);
		this.#mptcp?.update();
	}

	/** A draining backend forwards packets of unknown sessions to another one. */
	tableInputs(config: Config): TableInputs {
		const ownState = config.backends.find((one) => one.name === this.name)?.state ?? this.#self.state;
		const own = this.#self.addresses;
		return { roles: ROLE.backend, own, members: tunnelSources(config), ownState, health: ALL_UNKNOWN };
	}

	/** An active backend sends packets of others' connections on, where gateways compare loads (choose: least-load);
	 * otherwise nothing through the tunnel, so it resolves no next hops. */
	hostFacts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>> {
		const active =
			!targets.some(({ backend, state }) => backend === this.name && state !== "active") &&
			!this.#member?.snapshot.services.some(({ choose }) => strategyOf(choose).choice === CHOICE.lessLoaded);
		const others = targets.filter(({ backend }) => backend !== this.name).map(({ address }) => address);
		return this.#nextHops.resolve(active ? [] : [...new Set(others)].sort(), changed, this.#self.addresses);
	}

	/** What is ordered here at run time is told at once. */
	published(): void {
		const override = JSON.stringify(this.#member?.ownOverride() ?? null);
		if (override === this.#overrideTold) return;
		this.#overrideTold = override;
		void this.#reporter?.update();
	}

	start(): void {
		const member = this.#member!;
		this.#loadMeter = new LoadMeter(
			this.name,
			() => {
				const self = member.config.backends.find((one) => one.name === this.name) ?? this.#self;
				return {
					load: member.config.load,
					capacity: self.capacity,
					uplinks: self.uplinks,
					udpSessions: member.sessionsOf("udp"),
					tcpForwarded: 0,
					tcpEndpoints: tcpEndpoints(self, member.snapshot.services),
				};
			},
			this.#warn,
		);
		this.#loadMeter.start();
		this.#reporter = new Reporter({
			config: member.config,
			report: () => this.load(),
			warn: this.#warn,
			onDrift: () => this.#driftEvents.update("clocks", this.drift()),
		});
		this.#reporter.listen(member.config, this.#self.addresses);
		this.#ports = new PortWatch({
			places: () => servicePlaces(this.#self, member.snapshot.services),
			changed: () => void this.#reporter?.update(),
			warn: this.#warn,
		});
		this.#ports.start();
		this.#mptcp = new MptcpRedirector(
			this.#sysctls,
			() => ({
				self: member.config.backends.find((one) => one.name === this.name) ?? this.#self,
				load: member.config.load,
				services: member.snapshot.services,
				report: this.#loadMeter?.report,
			}),
			this.#warn,
		);
		this.#mptcp.update();
	}

	mptcp(): MptcpTotals | null {
		return this.#mptcp?.totals() ?? null;
	}

	/** What this host's operator should do. */
	advice(): readonly string[] {
		return [...this.#replies.advice(), ...(this.#ports?.advice() ?? []), ...(this.#mptcp?.advice() ?? [])];
	}

	drift(): readonly Drift[] {
		return this.#reporter?.drift() ?? [];
	}

	/** It delivers from the start; whether the services behind it answer is for gateways to find out. */
	pending(): Pending {
		return { what: [], deadlineOver: false };
	}

	async swept(): Promise<void> {
		await this.#addresses?.watch(this.#warn);
	}

	configure(): void {}

	load(): LoadReport | undefined {
		const report = this.#loadMeter?.report;
		const missing = this.#ports?.missing ?? [];
		const unbound = missing.slice(0, MOST_UNBOUND).map(({ service, port }) => ({ service, port }));
		const override = this.#member?.ownOverride();
		const identity = this.#member && { ...identityOf(this.#member.fileConfig), version: VERSION };
		const beside = { unbound, ...(identity && { identity }), ...(override && { override }) };
		return report && { ...report, survives: this.#member?.outlivesDaemon ?? false, ...beside };
	}

	/** Until the gateways have published tables without this backend, its engine goes on. */
	async leave(): Promise<void> {
		if (((await this.#reporter?.leave()) ?? 0) > 0) await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
	}

	async close(): Promise<void> {
		this.#endLoops();
		await this.#firewall.close();
		await this.#replies.close();
		this.#offloads.restore();
		this.#sysctls.restore();
		await this.#addresses?.close();
		await this.#staleAddresses?.close();
		if (this.#tun !== undefined) closeSync(this.#tun);
		this.#tun = undefined;
	}

	abandon(): Promise<void> {
		this.#undoLog.keepInherited();
		return this.close();
	}

	async detach(): Promise<void> {
		this.#endLoops();
		await this.#firewall.close();
		await this.#replies.detach();
	}

	#endLoops(): void {
		this.#loadMeter?.close();
		this.#reporter?.close();
		this.#ports?.close();
		this.#mptcp?.close();
		this.#nextHops.close();
	}

	/** Those configured, or those that carry the backend's addresses. */
	async #findInterfaces(): Promise<readonly string[]> {
		const { interfaces, addresses } = this.#self;
		if (interfaces.length > 0) {
			interfaces.forEach(requireInterface);
			return interfaces;
		}
		const own = (await interfaceAddresses()).filter(({ address }) => addresses.includes(address));
		if (own.length === 0)
			throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: `(one with ${addresses.join(" or ")})` });
		return [...new Set(own.map((one) => one.interface))];
	}
}

function openTun(): number {
	try {
		return host().openTun(TUN).fd;
	} catch (cause) {
		throw new ShuntError("SHUNT_TUN_FAILED", { name: TUN, why: (cause as Error).message }, { cause });
	}
}

/** Each port of a service of several; none if they are too many to be told to the kernel for every count. */
function portsOf({ port, portLast }: Service): number[] {
	return portLast - port < MOST_PORTS ? Array.from({ length: portLast - port + 1 }, (_, i) => port + i) : [];
}

const MOST_PORTS = 1024;

/** None of a prefix: its connections are counted at the backend's own addresses alone. */
function addressesOf({ address, addressLength }: Service): string[] {
	return addressLength === 128 ? [address] : [];
}

/** Where this backend's TCP services accept connections: at the service address for clients that come by a gateway, at
 * the backend's own addresses for those that come directly. */
function tcpEndpoints(self: Backend, services: readonly Service[]): TcpEndpoint[] {
	const found = new Map<string, TcpEndpoint>();
	for (const service of services.filter((one) => one.protocol === "tcp"))
		for (const redirection of redirectionsOf(service))
			for (const { backend, port } of redirection.choices)
				if (backend === self.name)
					for (const address of [...addressesOf(service), ...self.addresses])
						for (const one of port === 0 ? portsOf(service) : [port])
							found.set(`${address} ${one}`, { address, port: one });
	return [...found.values()];
}
