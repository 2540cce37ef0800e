// differences.ts - where the library differs from Node, with the reason. docs/client.md has the same table.

export interface Difference {
	/** The cases. */
	readonly of: readonly string[];
	/** The sides that differ. */
	readonly sides: readonly ("no service" | "gateway" | "target")[];
	readonly node: string;
	readonly library: string;
	readonly reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
	{
		of: ["connect: the socket's own address"],
		sides: ["gateway", "target"],
		node: "after `connect`, `address()` of a datagram socket names one address",
		library: "`0.0.0.0` or `::`",
		reason: "it receives from gateway and target, so the kernel does not connect it",
	},
	{
		of: ["connect: a refusal (ICMP)"],
		sides: ["gateway", "target"],
		node: "a connected datagram socket emits `ECONNREFUSED`",
		library: "no error; a target's refusal is a failover",
		reason: "the kernel reports refusals to connected sockets only",
	},
	{
		of: ["send: too long, callback"],
		sides: ["target"],
		node: "the error of a datagram that is not sent names the destination",
		library: "the target",
		reason: "it is the error of the path that was taken",
	},
	{
		of: ["remoteAddress"],
		sides: ["target"],
		node: "`remoteAddress` and `remotePort` name the destination",
		library: "the target",
		reason: "the connection ends there; logs need the path that was taken",
	},
];
