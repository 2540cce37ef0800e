/**
 * What a daemon says over its control socket, and the paths it says it at.
 *
 * Owns: the shapes of every answer. The CLI prints these, `--json` prints them as they are, and the console reads them.
 * Must never: hold code.
 */

export type Role = "gateway" | "backend";

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
	port: number;
	state: "active" | "draining" | "inactive";
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
	port: number;
	protocol: "udp" | "tcp";
	idleMs: number;
	sessions: number;
	targets: TargetStatus[];
}

export interface WorkerStatus {
	/** The interface it captures from; a processor of the kernel's engine serves all of them. */
	interface: string;
	capture: string;
	in: Count;
	/** Packets the kernel lost before we saw them. */
	captureDrops: number;
	/** What ended the worker, if something did. */
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
	/** Of what is handed out of the backend's addresses of one family, 0 to 1; null where this host hands out none. */
	share: number | null;
}

/** What a server carries, by its own report. */
export interface LoadStatus {
	server: string;
	/** unknown: there is no report, or it is too old. */
	known: "fresh" | "fading" | "unknown";
	/** Since the report came; null: there has been none. */
	ageMs: number | null;
	/** 0 idle, 1 full: what is believed here and now; null: nothing is known of anybody. */
	load: number | null;
	/** As reported. */
	udpSessions: number;
	tcpSessions: number;
	/** Shares in use, 0 to 1; null: unknown. */
	cpu: number | null;
	link: number | null;
	/** What its weight is multiplied by where a service is `choose: weighted`; null where this host chooses nobody. */
	factor: number | null;
	uplinks: UplinkStatus[];
}

/** A link that packets come by: its own counters, since it was made. */
export interface LinkStatus {
	interface: string;
	up: boolean;
	/** Bits per second in each direction; 0: the driver doesn't say. */
	speedBps: number;
	rx: LinkCount;
	tx: LinkCount;
	/** Empty where the driver tells nothing of its queues; null: not this number. */
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
		/** Sessions of an earlier daemon have been taken up. */
		adopted: boolean;
	};
	config: string;
	/** Of the published tables. */
	epoch: number;
	uptimeMs: number;
	in: Count;
	/** Only those that have counted something, largest first. */
	reasons: ReasonCount[];
	/** in = the sum of all reasons. */
	conserved: boolean;
	/** A backend's own packets to clients, seen as they leave: those that kept a session alive, and those of them that made one. They
	 * are no part of `in`. And clients that were told, in such a packet or beside it, where to go. */
	sent: { packets: number; made: number; told: number };
	/** Of those that were forwarded, so many a driver then did not take. */
	lost: number;
	services: ServiceStatus[];
	/** This server's own; null: not measured yet. */
	load: LoadStatus | null;
	/** A gateway's backends, by name. */
	loads: LoadStatus[];
	links: LinkStatus[];
	sessions: { live: number; capacity: number; sweptAtMs: number | null };
	workers: WorkerStatus[];
}

/** One of `GET /sessions?service=&backend=&source=&idle=&limit=` */
export interface Session {
	service: string;
	protocol: "udp" | "tcp";
	source: string;
	sourcePort: number;
	destination: string;
	destinationPort: number;
	/** null: this host itself (on a backend). */
	backend: string | null;
	target: string | null;
	idleMs: number;
	/** Until it expires, if nothing more comes. */
	leftMs: number;
	/** More than one packet has come. */
	proven: boolean;
}

export interface SessionList {
	sessions: Session[];
	/** There were more than `limit`. */
	truncated: boolean;
}

/** `GET /sessions/count?service=&backend=&source=&idle=` */
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

/** `DELETE /sessions?service=&backend=&source=&idle=` or `?all=` */
export interface Expired {
	expired: number;
}

/** A row that a new session may get, and the load of its target. */
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
	/** The rule that names the source: its prefix; null where the service's own redirection answers. */
	rule: string | null;
	/** Row of the forwarding table, and its number of rows. */
	row: { index: number; rows: number } | null;
	/** Where the service chooses by load: the two rows that were weighed, the winner first; null: one row alone. */
	weighed: Weighed[] | null;
	/** The live session, if there is one. */
	session: Session | null;
	/** What the next packet of this flow gets. */
	target: { backend: string; address: string; port: number; state: string; terms: string } | null;
	/** The same in sentences, in the order in which the packet program asks. */
	why: string[];
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
