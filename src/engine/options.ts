// options.ts - what an engine is opened with, in user space or in XDP.

export interface WorkerOptions {
	/** Network interface to capture from, by libpcap. Either this or `file`. */
	readonly interface?: string;
	/** A pcap file to read packets from; their timestamps are then the clock. */
	readonly file?: string;
	/** Bytes captured of each packet; default all. */
	readonly snaplen?: number;
	/** Bytes of the kernel's capture ring; default 64 MiB. */
	readonly bufferBytes?: number;
	/** How long a worker spins before it sleeps, and SO_BUSY_POLL where the driver can; default 0. */
	readonly busyPollUs?: number;
	/** Group (0..65535) that all workers on one interface share, so that each gets a part of the flows. */
	readonly fanout?: number;
	/** Pin to this processor. */
	readonly cpu?: number;
	/** Also take those frames for other stations' MAC addresses that arrive; default false. */
	readonly otherStations?: boolean;
	/** The same, and have all of them arrive: the interface is promiscuous; default false. */
	readonly anyStation?: boolean;
	/** On a backend: also capture egress packets, which refresh sessions; default false. */
	readonly sent?: boolean;
}

export interface EngineOptions {
	/** Capacity in records; the table is made so large that it is reached at 85 % occupancy. */
	readonly sessions4?: number;
	readonly sessions6?: number;
	/** Datagrams whose fragments are under way at once. */
	readonly fragments?: number;
	readonly workers: readonly WorkerOptions[];
	/** Default sendmmsg. */
	readonly transmit?: "ring" | "sendmmsg" | "pcap";
	/** Past the queueing discipline of the links that are sent on: faster, and unshaped. */
	readonly qdiscBypass?: boolean;
	/** Write every frame into this pcap file instead of sending it; one worker only. */
	readonly outputFile?: string;
	/** Descriptor of a tun device without packet information, which gets delivered packets. It stays the caller's. */
	readonly tun?: number;
	/** A worker has ended by itself: its file is at its end (problem ""), or its interface is gone. */
	readonly onEnd?: (worker: number, problem: string) => void;
}

/** The packet program in XDP. */
export interface KernelEngineOptions {
	readonly interfaces: readonly string[];
	/** native: in the driver. generic: in the kernel's receive path, which any interface can. */
	readonly mode: "native" | "generic";
	/** A folder in a BPF file system: what is pinned there is adopted, and stays when this process ends. Absent: nothing is pinned. */
	readonly pins?: string;
	/** Adopt no pinned sessions: the meaning of their service and target ids is lost. */
	readonly fresh?: boolean;
	/** A backend: also see what leaves by the interfaces, which keeps sessions alive; default false. */
	readonly sent?: boolean;
	/** Capacity, as of the user-space engine. */
	readonly sessions4?: number;
	readonly sessions6?: number;
	readonly fragments?: number;
	/** A program other than the one that the addon carries. */
	readonly objectFile?: string;
}
