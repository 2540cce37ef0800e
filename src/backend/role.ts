/**
 * The backend's role: what a backend does to its host, and what it knows of it.
 *
 *   prepare   the link that carries the service addresses; receive offloads off
 *   facts     while it drains: the ways to the other targets, since it sends packets of unknown sessions on to them
 *   apply     the guard (this kernel leaves to the engine what is the engine's), and the way back of ports that differ
 *
 * The engine verifies what comes by the tunnel and hands the client's packet to this kernel: the user-space engine by a tun
 * device, which carries the service addresses and goes when the daemon goes; the kernel's engine on the link that it came by,
 * and the addresses are on lo, where they outlive the daemon as the engine does. The local service sees the client's own
 * address, and its answer leaves from the service's address straight to the client: direct server return.
 *
 * Must never: leave a trace at a clean end. What a crash leaves (settings, offloads, with the kernel's engine addresses and
 * the way back) the next start knows by the journal.
 */
import { closeSync } from "node:fs";
import type { Backend, Config, Service, State } from "../config/index.js";
import { directEndpoints, type HostFacts, type Snapshot, type Target } from "../database/index.js";
import { type EngineOptions, host } from "../engine/index.js";
import { ShuntError } from "../errors.js";
import { journalOf, workersOn } from "../gateway/role.js";
import { Addresses } from "../host/addresses.js";
import { command, commandJson } from "../host/command.js";
import { Guard, type GuardRules } from "../host/guard.js";
import type { Journal } from "../host/journal.js";
import { requireLink } from "../host/network.js";
import { Ways } from "../host/next-hops.js";
import { Offloads } from "../host/offloads.js";
import { Settings } from "../host/sysctls.js";
import type { LoadReport } from "../load/index.js";
import type { EngineKind } from "../member/engines.js";
import { Measure, type TcpEndpoint } from "../member/measure.js";
import type { Member, MemberEvent, Role } from "../member/member.js";
import { ROLE } from "../policy/index.js";
import { holdBack } from "./hold-back.js";
import { Reporter } from "./reporter.js";

/** Of the tun device: what comes out of the tunnel fits any link already, and the device must not fragment it. */
const TUN_MTU = 65_535;

export class BackendRole implements Role {
	readonly kind = "backend";
	readonly roles = ROLE.backend;
	readonly #self: Backend;
	readonly #tun = "shunt0";
	readonly #journal: Journal;
	readonly #offloads: Offloads;
	readonly #settings: Settings;
	readonly #guard: Guard;
	readonly #wayBack: Guard;
	readonly #ways = new Ways();
	readonly #warn: (problem: string) => void;
	#measure: Measure | undefined;
	#reporter: Reporter | undefined;
	/** On lo or on the tun device: which, prepare() decides. */
	#addresses: Addresses | undefined;
	/** On the other one: what a daemon with another engine left when it was killed. */
	#otherAddresses: Addresses | undefined;
	#descriptor: number | undefined;
	#interfaces: readonly string[] = [];
	#userSpace = false;

	constructor(
		config: Config,
		readonly name: string,
		tell: (event: MemberEvent) => void,
	) {
		this.#self = config.backends.find((one) => one.name === name) as Backend;
		this.#journal = journalOf(name);
		this.#offloads = new Offloads(this.#journal);
		this.#settings = new Settings(this.#journal);
		this.#warn = (problem) => tell({ event: "warning", problem });
		this.#guard = new Guard(name, this.#warn);
		this.#wayBack = new Guard(`${name}_way_back`, this.#warn, this.#journal);
	}

	async interfaces(): Promise<readonly string[]> {
		this.#interfaces = await this.#findInterfaces();
		return this.#interfaces;
	}

	async prepare(config: Config, kind: EngineKind): Promise<Pick<EngineOptions, "workers" | "tun">> {
		this.#userSpace = kind === "user";
		for (const name of this.#interfaces) {
			this.#offloads.turnOff(name, kind);
			// Several backends may share a segment with the service's address: none of them may answer ARP for it.
			this.#settings.set(`net.ipv4.conf.${slashed(name)}.arp_ignore`, "1");
			this.#settings.set(`net.ipv4.conf.${slashed(name)}.arp_announce`, "2");
		}
		const workers = workersOn(this.#interfaces, config).map((worker) => ({ ...worker, sent: true }));
		if (kind !== "user") {
			// A client's packet comes by the link of its gateway, and the way back may be another one.
			for (const name of this.#interfaces) this.#settings.set(`net.ipv4.conf.${slashed(name)}.rp_filter`, "2");
			this.#addresses = new Addresses("lo", this.#journal);
			this.#otherAddresses = new Addresses(this.#tun, this.#journal);
			return { workers };
		}
		this.#descriptor = this.#openTun();
		await command("ip", ["link", "set", "dev", this.#tun, "up", "mtu", String(TUN_MTU)]);
		// The clients are not behind this device, and their packets come out of it all the same. 2 is loose, and the larger of
		// this value and the one for all interfaces holds, so a strict 1 there does not reach here.
		this.#settings.set(`net.ipv4.conf.${this.#tun}.rp_filter`, "2");
		// An address that is just being taken away must not send its packets back into the network.
		this.#settings.set(`net.ipv4.conf.${this.#tun}.forwarding`, "0");
		this.#settings.set(`net.ipv6.conf.${this.#tun}.forwarding`, "0");
		this.#addresses = new Addresses(this.#tun, this.#journal);
		this.#otherAddresses = new Addresses("lo", this.#journal);
		return { workers, tun: this.#descriptor };
	}

	async apply(config: Config, snapshot: Snapshot): Promise<void> {
		await this.#addresses?.set([...new Set(snapshot.services.map((service) => service.address))]);
		await this.#otherAddresses?.close(); // now that none is missed
		const places = this.#userSpace ? directEndpoints(snapshot, this.#self.addresses) : undefined;
		await this.#guard.set(holdBack(this.#self.addresses, this.#interfaces, config.cluster, places));
		await this.#wayBack.set(wayBack(this.#self, snapshot.services));
		this.#reporter?.listen(config, this.#self.addresses);
	}

	own(): readonly string[] {
		return this.#self.addresses;
	}

	/** As it is configured now: a draining backend sends packets of unknown sessions on to another one. */
	state(config: Config): State {
		return config.backends.find((one) => one.name === this.name)?.state ?? this.#self.state;
	}

	/** While all is well a backend sends nothing through the tunnel, and asks for no neighbours. */
	facts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>> {
		const serving = !targets.some(({ backend, state }) => backend === this.name && state !== "active");
		const others = targets.filter(({ backend }) => backend !== this.name).map(({ address }) => address);
		return this.#ways.to(serving ? [] : [...new Set(others)].sort(), changed);
	}

	begin(member: Member): void {
		this.#measure = new Measure(
			this.name,
			() => {
				const self = member.config.backends.find((one) => one.name === this.name) ?? this.#self;
				return {
					load: member.config.load,
					capacity: self.capacity,
					uplinks: self.uplinks,
					udpSessions: member.sessionsOf("udp"),
					tcpPassing: 0,
					tcpEndpoints: tcpEndpoints(self, member.snapshot.services),
				};
			},
			this.#warn,
		);
		this.#measure.start();
		this.#reporter = new Reporter({ config: member.config, report: () => this.load(), tell: this.#warn });
		this.#reporter.listen(member.config, this.#self.addresses);
	}

	load(): LoadReport | undefined {
		return this.#measure?.report;
	}

	#endLoad(): void {
		this.#measure?.close();
		this.#reporter?.close();
	}

	async close(): Promise<void> {
		this.#endLoad();
		this.#ways.close();
		await this.#guard.close();
		await this.#wayBack.close();
		this.#offloads.restore();
		this.#settings.restore();
		await this.#addresses?.close();
		await this.#otherAddresses?.close();
		if (this.#descriptor !== undefined) closeSync(this.#descriptor); // and the device is gone
		this.#descriptor = undefined;
	}

	async leave(): Promise<void> {
		this.#endLoad();
		this.#ways.close();
		await this.#guard.close();
		await this.#wayBack.leave();
	}

	#openTun(): number {
		try {
			return host().openTun(this.#tun).fd;
		} catch (cause) {
			throw new ShuntError("SHUNT_TUN_FAILED", { name: this.#tun, why: (cause as Error).message }, { cause });
		}
	}

	/** As configured, or those that carry the backend's addresses. */
	async #findInterfaces(): Promise<readonly string[]> {
		if (this.#self.interfaces.length > 0) {
			this.#self.interfaces.forEach(requireLink);
			return this.#self.interfaces;
		}
		const all = await commandJson<{ ifname: string; addr_info?: { local?: string }[] }[]>("ip", ["-json", "address"]);
		const found = all.filter((one) =>
			one.addr_info?.some(({ local }) => local && this.#self.addresses.includes(local)),
		);
		if (found.length === 0)
			throw new ShuntError("SHUNT_INTERFACE_MISSING", { interface: `(one with ${this.#self.addresses.join(" or ")})` });
		return found.map((one) => one.ifname);
	}
}

/** At the service's address for clients that come by a gateway, and at the backend's own for those that come directly. */
function tcpEndpoints(self: Backend, services: readonly Service[]): TcpEndpoint[] {
	const found = new Map<string, TcpEndpoint>();
	for (const service of services.filter((one) => one.protocol === "tcp"))
		for (const redirection of [service.redirection, ...service.rules.map((rule) => rule.redirection)])
			for (const { backend, port } of redirection.choices)
				if (backend === self.name)
					for (const address of [service.address, ...self.addresses])
						found.set(`${address} ${port}`, { address, port });
	return [...found.values()];
}

/** eth0.7 is eth0/7 in the name of a setting. */
function slashed(name: string): string {
	return name.replaceAll(".", "/");
}

/** R3: the engine delivered to the port that the service has here; its answers leave from the port that clients know.
 * Without connection tracking: a port is turned into the other, and back. */
function wayBack(self: Backend, services: readonly Service[]): GuardRules {
	const rules = new Set<string>();
	for (const service of services) {
		const ip = service.family === 4 ? "ip" : "ip6";
		for (const redirection of [service.redirection, ...service.rules.map((rule) => rule.redirection)])
			for (const choice of redirection.choices)
				if (choice.backend === self.name && choice.port !== service.port)
					rules.add(
						`${ip} saddr ${service.address} ${service.protocol} sport ${choice.port} ${service.protocol} sport set ${service.port}`,
					);
	}
	return { sets: [], chains: [{ name: "way_back", hook: "output priority raw", rules: [...rules] }] };
}
