/**
 * What differs between a gateway and a backend, as one interface.
 *
 * A role is made for one attempt to start a member and is spent once it is closed. The member calls it in this order:
 *
 *   checkHost → interfaces → prepare → attach → [tableInputs, hostFacts, published] → apply → start → … → close or detach
 *
 * where the part in brackets is repeated by every publication, `swept` follows each pass over the session table,
 * `checkHost` precedes a reload, and `configure` and `apply` frame its publication.
 *
 * Owns: the contract between member/ and a role. A role runs its own loops; the member knows neither of them.
 * Must never: name what only one of the roles has.
 */
import type { Config, Probe, Service } from "../config/index.js";
import type { Compiled, CompileInput, HostFacts, Snapshot, Store, TableIds, Target } from "../database/index.js";
import type { EngineOptions, NativeEngine } from "../engine/index.js";
import type { Health, HealthState, TargetHealth } from "../health/index.js";
import type { EngineMode } from "../host/offloads.js";
import type { LoadReport, ReportedOverride } from "../load/index.js";
import type { Believed } from "../policy/index.js";
import type { Drift } from "./drift.js";
import type { Pending } from "./readiness.js";

/** What the daemon reports as it happens; part of its JSON output. */
export interface MemberEvent {
	event: "reloaded" | "refused" | "warning" | "worker-ended" | "next-hop" | "health" | "panic" | "drift" | "database";
	[detail: string]: unknown;
}

/** What a role contributes to the compilation of tables, besides the database and the host facts. */
export interface TableInputs
	extends Pick<CompileInput, "roles" | "own" | "members" | "ownState" | "loads" | "balance"> {
	/** By target key: unhealthy targets are published as inactive, or as draining where their sessions still work. */
	readonly health: HealthState;
}

/** The member as its role sees it. */
export interface MemberView {
	/** In force: the file's with the overrides. */
	readonly config: Config;
	/** As last read from the file. */
	readonly fileConfig: Config;
	readonly store: Store;
	readonly snapshot: Snapshot;
	/** The last published tables; undefined before the first publication. */
	readonly compiled: Compiled | undefined;
	readonly ids: TableIds;
	readonly engine: NativeEngine;
	readonly mode: EngineMode;
	/** The engine is pinned: it serves on if this daemon is killed. */
	readonly outlivesDaemon: boolean;
	readonly interfaces: readonly string[];
	/** All targets of all redirections, each once. */
	targets(): readonly Target[];
	/** Sessions of this protocol's services at the last sweep, by flow or by source as each service counts them (R10). */
	sessionsOf(protocol: Service["protocol"]): number;
	/** What this member, as a backend, tells its gateways of its operator's overrides; undefined: nothing. */
	ownOverride(): ReportedOverride | undefined;
	/** What a backend's report says of its operator's overrides is in force here from now on; undefined: nothing. */
	followOverride(backend: string, reported: ReportedOverride | undefined): void;
	/** Compiles and publishes tables; after the publications that are under way. */
	publish(): Promise<void>;
}

/** One thing that a gateway observes of a backend. */
export interface Check {
	readonly backend: string;
	/** null: the backend as a whole. */
	readonly service: string | null;
	/** load: its load reports; port: its daemon's word about the service's socket; reports: what redirected clients report;
	 * else a probe. */
	readonly check: "load" | "port" | "reports" | Probe["type"];
	/** The backend's address, or the service's port there. */
	readonly subject: string;
	readonly health: Health;
	readonly reason: string;
	/** Since when; null: it was never known. */
	readonly forMs: number | null;
	/** Of a probe, and how many there were; null: none yet. */
	readonly last: {
		readonly passed: boolean;
		readonly detail: string;
		readonly ms: number;
		readonly agoMs: number;
		readonly sent: number;
		readonly failed: number;
	} | null;
}

/** What a member believes of the cluster's backends. */
export interface BackendView {
	/** The backend's last report; undefined: none is in the database. */
	report(backend: string): LoadReport | undefined;
	/** Milliseconds since that report was received; undefined: none was. */
	reportAgeMs(backend: string): number | undefined;
	believed(backend: string): Believed | undefined;
	/** What its weight is multiplied by where a service is `choose: weighted`; 1 until known. */
	factor(backend: string): number;
	/** An address's part of its backend's addresses of one family, 0 to 1; null: not known. */
	share(address: string): number | null;
	/** The address gets no new session: its uplink is down. */
	isDown(address: string): boolean;
	/** Of a backend, by the evidence of all its addresses. */
	health(backend: string): TargetHealth;
	/** All that is observed. */
	checks(): readonly Check[];
	/** Of a target: the worst of its service's there and its address's. */
	ofTarget(target: Target): TargetHealth;
}

/** Clients that go on straight to this server by MPTCP (R35). */
export interface MptcpTotals {
	/** Of services, now. */
	readonly connections: number;
	/** Of these, with a subflow to an own address. */
	readonly direct: number;
	/** Subflows to own addresses: now, and since the start. */
	readonly subflows: number;
	readonly joined: number;
	/** What direct subflows have carried since the start, as last listed: from clients, past the gateway; and to them. */
	readonly bytesReceived: number;
	readonly bytesSent: number;
}

export interface Role {
	readonly kind: "gateway" | "backend";
	/** This server's name in the configuration. */
	readonly name: string;
	/** The engine also sees packets that this host sends, which refresh sessions. */
	readonly observesEgress: boolean;
	/** What it believes of backends; undefined: nothing, it chooses none. */
	readonly backends: BackendView | undefined;

	/** Before the start and before each reload: throws if this host cannot have this role in this configuration. */
	checkHost(config: Config): Promise<void>;
	/** The interfaces whose packets the engine takes. Throws SHUNT_INTERFACE_MISSING. */
	interfaces(): Promise<readonly string[]>;
	/** Changes the host as this engine needs it: offloads, sysctls, tun device. Returns what a user-space engine is
	 * given. */
	prepare(config: Config, mode: EngineMode): Promise<Pick<EngineOptions, "workers" | "tun">>;
	/** The engine exists and has no tables yet. */
	attach(member: MemberView): Promise<void>;
	/** Has the host drop, rewrite and carry what exactly these services need. */
	apply(config: Config, snapshot: Snapshot): Promise<void>;
	tableInputs(config: Config): TableInputs;
	/** Facts by address for those targets that this host sends to. `changed` is called once, when they are no longer
	 * these. */
	hostFacts(targets: readonly Target[], changed: () => void): Promise<ReadonlyMap<string, HostFacts>>;
	/** Tables have been published. */
	published(compiled: Compiled, previous: Compiled | undefined): void;
	/** The engine takes packets: the role's loops begin. Throws if the engine cannot serve this role here. */
	start(): void;
	/** What other members have other than this one, as far as it can tell. */
	drift(): readonly Drift[];
	/** What the member waits for, from start() on, before it is ready. */
	pending(): Pending;
	/** A pass over the session table is complete. A rejection is reported as a warning. */
	swept(): Promise<void>;
	/** A new configuration is in the database and not yet published. */
	configure(config: Config): void;
	/** What this host's operator should do, in sentences: "nothing listens at … on this host; …". */
	advice(): readonly string[];
	/** Of clients that come directly by MPTCP; null: no service is configured for it. */
	mptcp(): MptcpTotals | null;
	/** This server's load as last measured; undefined: not yet. */
	load(): LoadReport | undefined;
	/** The member is about to end and its engine with it: others are told in time. The engine still serves. */
	leave(): Promise<void>;
	/** Ends its loops and undoes its changes to the host. */
	close(): Promise<void>;
	/** The same after a start that was refused, while an earlier daemon's engine still serves: what that daemon changed stays. */
	abandon(): Promise<void>;
	/** Ends its loops and leaves on the host what the kernel's engine needs to go on without a daemon. */
	detach(): Promise<void>;
}
