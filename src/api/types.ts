/**
 * The answers of a daemon's control socket, and their paths.
 *
 * Owns: the shape of every answer. The CLI formats these; `--json` prints them as they are.
 * Must never: hold code.
 */

export type Role = "gateway" | "backend";

export type Health = "healthy" | "unhealthy" | "unknown";

/** Packets and bytes since the daemon started. */
export interface Count {
	packets: number;
	bytes: number;
}

export interface ReasonCount extends Count {
	reason: string;
	verdict: "forward" | "return" | "indicate" | "pass" | "drop" | "control";
	/** One sentence for an operator. */
	text: string;
}

export interface TargetStatus extends Count {
	/** Name of the backend in the configuration. */
	backend: string;
	/** The service address: where header and packet go. */
	address: string;
	/** 0: the port that the client sends to. */
	port: number;
	/** In force: as configured, or by its uplink or its health. */
	state: "active" | "draining" | "inactive";
	/** As this gateway observes it; on a backend always unknown. */
	health: Health;
	/** Why: "nothing listens at udp port 53 of b2 since 12:01:07". */
	healthReason: string;
	/** Since when; null: it was never known. */
	healthForMs: number | null;
	/** Share of the forwarding table's rows, 0 to 1. */
	share: number;
	/** Live sessions at the last sweep. */
	sessions: number;
	/** MAC address of the next hop; null while it has not answered. */
	nextHop: string | null;
}

export interface ServiceStatus {
	name: string;
	address: string;
	/** The first of several. */
	port: number;
	/** "53", "10000-20000" or "any". */
	ports: string;
	protocol: "udp" | "tcp";
	idleMs: number;
	sessions: number;
	/** Of a gateway with very many targets, services may share them: then under the first of these services alone, with
	 * the sessions and packets of all of them. */
	targets: TargetStatus[];
	/** Key of the service under which its targets are; null: they are here. */
	targetsOf: string | null;
	/** Where all backends are used because too few are healthy: prefixes of rules, "" for sources without one. */
	panics: string[];
}

export interface WorkerStatus {
	/** The interface it captures from; a processor of the kernel's engine serves all of them. */
	interface: string;
	capture: string;
	in: Count;
	/** Packets that the kernel dropped before the engine captured them. */
	captureDrops: number;
	/** Why the worker ended by itself; null: it runs. */
	error: string | null;
}

/** One of a server's links. */
export interface UplinkStatus {
	addresses: readonly string[];
	up: boolean;
	/** Bits per second in each direction; 0: unknown. */
	speedBps: number;
	rxBps: number;
	txBps: number;
	rxPps: number;
	txPps: number;
	/** Packets per second. */
	drops: number;
	errors: number;
	/** Its part of the backend's addresses of one family, 0 to 1; null where this host chooses no backends. */
	share: number | null;
}

/** A server's load, by its own report. */
export interface LoadStatus {
	server: string;
	/** unknown: there is no report, or it is too old. */
	known: "fresh" | "fading" | "unknown";
	/** Milliseconds since the report was received; null: there has been none. */
	ageMs: number | null;
	/** 0 idle, 1 full: as believed here and now; null: no backend's load is known. */
	load: number | null;
	/** As reported. */
	udpSessions: number;
	tcpSessions: number;
	/** Shares in use, 0 to 1; null: unknown. */
	cpu: number | null;
	link: number | null;
	/** What its weight is multiplied by where a service is `choose: weighted`; null where this host chooses no backends.
	 * */
	factor: number | null;
	/** As this gateway observes it; unknown where this host chooses no backends. */
	health: Health;
	/** Why: "no load report since 12:01:07, 3 polls unanswered"; null where this host chooses no backends. */
	reason: string | null;
	/** It is unhealthy, its sessions still work and stay. */
	drains: boolean;
	uplinks: UplinkStatus[];
}

/** An interface that the engine takes packets from: its own counters, since it was created. */
export interface LinkStatus {
	interface: string;
	up: boolean;
	/** Bits per second in each direction; 0: the driver does not report it. */
	speedBps: number;
	rx: LinkCount;
	tx: LinkCount;
	/** Empty if the driver has no counters by queue; null: it lacks this one. */
	queues: { queue: number; rx: QueueCount; tx: QueueCount }[];
}

export interface LinkCount extends Count {
	dropped: number;
	errors: number;
}

export interface QueueCount {
	packets: number | null;
	bytes: number | null;
	dropped: number | null;
}

/** What an operator has changed at run time. */
export interface OverrideStatus {
	backend: string;
	/** null: of the backend in all services. */
	service: string | null;
	/** In force; null: it sets a weight. */
	state: "draining" | "inactive" | null;
	weight: number | null;
	/** Milliseconds since 1970. */
	since: number;
	/** When its remaining sessions choose anew; null: never. */
	until: number | null;
	/** command: at this daemon. report: the backend has reported it. */
	by: "command" | "report";
	/** What the file says: "active", "1", "1, by rule 3". */
	file: string;
	/** Sessions that this host has with the backend, at the last sweep. */
	sessions: number;
}

/** What a change does to one redirection of a service. */
export interface PlannedRedirection {
	service: string;
	protocol: "udp" | "tcp";
	address: string;
	port: number;
	/** null: of sources that no rule matches. */
	rule: string | null;
	/** Shares of new sessions by the weights and states in force, 0 to 1. */
	shares: { backend: string; before: number; after: number }[];
}

/** `POST /override?kind=…&backend=…&service=…&weight=…&deadlineMs=…&transient=&plan=&force=` */
export interface Overridden {
	/** false: it was only planned. */
	applied: boolean;
	/** Tables in force. */
	epoch: number;
	/** Only those that it changes. */
	redirections: PlannedRedirection[];
	/** Services, and sources of a rule, that are left without an active backend: "dns udp 203.0.113.53:53 from …". */
	left: string[];
	/** This host's sessions with the backend, at the last sweep, and what becomes of them. */
	sessions: number;
	fate: "stay" | "stay until the deadline" | "choose anew";
}

/** Tables are complete and health is known, or the deadline for both is over. */
export interface Ready {
	ready: boolean;
	/** Milliseconds since it became so; null: it is not. */
	sinceMs: number | null;
	/** Phrases: "the first load report of b3". */
	waitingFor: readonly string[];
}

/** What another member has other than this one, though both must have it alike. */
export interface DriftStatus {
	/** A backend's name, or "the gateway at 10.77.2.2". */
	member: string;
	what: "clock" | "keys" | "configuration" | "version";
	/** A sentence. */
	text: string;
	/** Packets between the two do not pass while this lasts. */
	unusable: boolean;
}

/** `GET /status` */
export interface Status {
	role: Role;
	name: string;
	version: string;
	pid: number;
	/** The engine that runs, and why this one. */
	engine: {
		mode: "native" | "generic" | "user";
		/** How packets are captured: "pcap" in user space, "xdp" in the kernel. */
		capture: string;
		why: string;
		/** It serves on without its daemon: by `stop --keep`, or after a crash. */
		outlivesDaemon: boolean;
		/** The engine has adopted the sessions of an earlier daemon. */
		adopted: boolean;
	};
	config: string;
	/** null: the configuration is the file alone. */
	database: DatabaseStatus | null;
	/** Digest of the configuration as last read, of what concerns all members. */
	digest: string;
	/** Whether routing may lead packets to it. */
	ready: Ready;
	/** Of the published tables. */
	epoch: number;
	uptimeMs: number;
	in: Count;
	/** Only those that have counted something, largest first. */
	reasons: ReasonCount[];
	/** in = the sum of all reasons. */
	conserved: boolean;
	/** A backend's egress packets to clients, which are not part of `in`: those that refreshed a session, those of them
	 * that created one, and the redirects sent to clients in or beside them. */
	sent: { packets: number; made: number; told: number };
	/** Forwarded packets that a driver then rejected. */
	lost: number;
	services: ServiceStatus[];
	/** This server's own; null: not measured yet. */
	load: LoadStatus | null;
	/** A gateway's backends, by name. */
	loads: LoadStatus[];
	overrides: OverrideStatus[];
	drift: readonly DriftStatus[];
	links: LinkStatus[];
	/** What this host's operator should do: "nothing listens at udp 203.0.113.10:27015 on this host; …". */
	advice: string[];
	/** Of a backend with a service with redirect.mptcp; else null. */
	mptcp: MptcpStatus | null;
	sessions: { live: number; capacity: number; sweptAtMs: number | null };
	workers: WorkerStatus[];
}

/** The redirection database, as this member sees it. */
export interface DatabaseStatus {
	/** "etcd at http://10.77.9.1:2379". */
	name: string;
	/** Of the shared configuration: in force here, and the last that the database has shown. */
	version: number;
	copied: number;
	/** false: it does not answer, and the copy serves. */
	connected: boolean;
	/** Why it does not answer; null: it does. */
	problem: string | null;
	/** Since it answers, or does not. */
	forMs: number;
	/** Since the database last confirmed the copy. */
	ageMs: number;
	/** Records that are invalid; `before`: their last valid value stays in force, else they are left out. */
	invalid: { key: string; problem: string; before: boolean }[];
	/** Why the version that was copied last is not in force; null: it is. */
	refused: string | null;
}

/** Clients that go on straight to this backend by MPTCP. */
export interface MptcpStatus {
	/** Connections to services now, and how many of them have a direct subflow. */
	connections: number;
	direct: number;
	/** Direct subflows: now, and since the start. */
	subflows: number;
	joined: number;
	/** What direct subflows have carried: from clients, past the gateway; and to them. Counted four times a second,
	 * less often where there are very many sockets: what a subflow carries after the last time is missing. */
	bytesReceived: number;
	bytesSent: number;
}

/** One of `GET /sessions?service=&backend=&source=&idle=&unhealthy=&limit=` */
export interface Session {
	service: string;
	protocol: "udp" | "tcp";
	source: string;
	sourcePort: number;
	destination: string;
	/** The first of several: a session spans a service's ports. */
	destinationPort: number;
	/** null: this host itself (on a backend). */
	backend: string | null;
	target: string | null;
	idleMs: number;
	/** Milliseconds until it expires if no packet refreshes it. */
	leftMs: number;
	/** More than one packet has been received. */
	proven: boolean;
	/** Of TCP, as the client's packets tell. */
	state?: "half-open" | "established" | "closing";
	/** Of the target; absent where this host chooses no backends. */
	health?: Health;
}

export interface SessionList {
	sessions: Session[];
	/** There were more than `limit`. */
	truncated: boolean;
	/** The unhealthy targets of these sessions, each once. */
	unhealthy: UnhealthyTarget[];
}

export interface UnhealthyTarget {
	service: string;
	protocol: "udp" | "tcp";
	backend: string;
	/** As in the sessions. */
	target: string;
	reason: string;
	forMs: number | null;
	/** Its sessions stay: they still work, or too few backends are healthy. Else each chooses anew at its next packet. */
	stays: boolean;
}

/** `GET /sessions/count?service=&backend=&source=&idle=&unhealthy=` */
export interface SessionCount {
	total: number;
	/** Largest first. */
	groups: {
		service: string;
		protocol: "udp" | "tcp";
		destination: string;
		destinationPort: number;
		/** null: this host itself (on a backend). */
		backend: string | null;
		sessions: number;
	}[];
}

/** `DELETE /sessions?service=&backend=&source=&idle=&unhealthy=` or `?all=` */
export interface Expired {
	expired: number;
}

/** A candidate row for a new session, and the load of its target. */
export interface Weighed {
	row: number;
	/** Backend, address and port. */
	target: string;
	/** 0 to 1, the most loaded target of the service; `docs/configuration.md` says of what. */
	load: number;
}

/** `GET /explain?protocol=&source=&sourcePort=&destination=&destinationPort=` */
export interface Explanation {
	flow: { protocol: "udp" | "tcp"; source: string; sourcePort: number; destination: string; destinationPort: number };
	verdict: string;
	reason: string;
	text: string;
	service: { name: string; id: number } | null;
	/** Prefix of the rule that matches the source; null: the service's own redirection applies. */
	rule: string | null;
	/** Row of the forwarding table, and its number of rows. */
	row: { index: number; rows: number } | null;
	/** Where the service chooses by load: the two rows that were compared, the chosen one first; null: the hash alone
	 * chose. */
	weighed: Weighed[] | null;
	/** The live session, if there is one. */
	session: Session | null;
	/** What the next packet of this flow gets. */
	target: { backend: string; address: string; port: number; state: string; terms: string } | null;
	/** The same in sentences, in the order in which the packet program decides. */
	why: string[];
}

/** One thing that a gateway observes of a backend. */
export interface HealthCheck {
	backend: string;
	/** null: the backend as a whole. */
	service: string | null;
	/** load: its load reports; port: its daemon's word about the service's socket; reports: what redirected clients
	 * report; else the type of a probe. */
	check: "load" | "port" | "reports" | "tcp" | "udp" | "dns" | "http" | "https";
	/** The backend's address, or the service's port there. */
	subject: string;
	health: Health;
	reason: string;
	/** Since when; null: it was never known. */
	forMs: number | null;
	/** Of a probe, and how many there were; null: none yet. */
	last: {
		passed: boolean;
		detail: string;
		ms: number;
		agoMs: number;
		sent: number;
		failed: number;
	} | null;
}

/** `GET /health`; on a backend without checks. */
export interface HealthAnswer {
	role: Role;
	name: string;
	checks: HealthCheck[];
	advice: string[];
}

/** `POST /reload` */
export interface Reloaded {
	epoch: number;
	changed: string[];
}

/** Every error: `{ error }` with the HTTP status 4xx or 5xx. */
export interface ApiError {
	error: { code: string; message: string; hint?: string };
}
