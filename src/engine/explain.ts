// explain.ts - what the packet program would do with a flow's next packet.

export interface FlowKey {
	readonly source: Buffer;
	readonly sourcePort: number;
	readonly destination: Buffer;
	readonly destinationPort: number;
	/** 6 or 17. */
	readonly protocol: number;
	readonly family: 4 | 6;
}

export interface Explanation {
	/** The number of the reason by which the flow's next packet would leave, if it is well formed and fits the link. */
	readonly reason: number;
	/** What the destination is here: 1 a service's address, 2 this host's own, or-ed. */
	readonly own: number;
	/** Id; 0: none. */
	readonly service: number;
	/** Id of the target the packet would go to; 0: none. */
	readonly target: number;
	/** What the session table holds for the flow. */
	readonly session?: {
		readonly target: number;
		readonly idleMs: number;
		readonly expired: boolean;
		readonly proven: boolean;
		/** Of TCP, as the client's packets tell. */
		readonly state: "half-open" | "established" | "closing";
	};
	/** What the tables would choose for it without a session. */
	readonly choice?: {
		readonly redirection: number;
		readonly row: number;
		readonly rows: number;
		/** 0: none. */
		readonly target: number;
		/** Of that target, 0 to FULL_LOAD. */
		readonly load: number;
		/** Where the redirection chooses by load: what was weighed against it, and lost. */
		readonly other?: { readonly row: number; readonly target: number; readonly load: number };
		/** The rule denies the service to the source. */
		readonly denied: boolean;
		/** Of the rule that named the source; absent: the service's own redirection. */
		readonly prefix?: Buffer;
		/** Of the mapped form: an IPv4 /24 is 120. */
		readonly prefixLength?: number;
	};
}
