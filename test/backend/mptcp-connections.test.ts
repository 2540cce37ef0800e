// mptcp-connections.test.ts - R35: what follows from an MPTCP connection's events, without a kernel.

import { expect, test } from "vitest";
import {
	MptcpConnections,
	type MptcpEndpoint,
	type MptcpEvent,
	type MptcpSubflow,
	type OwnAddress,
	RETRY_MS,
} from "../../src/backend/mptcp-connections.js";

const VIP = { address: "203.0.113.80", port: 80 };
const OWN: OwnAddress[] = [
	{ address: "10.0.1.1", id: 128, share: 0.75 },
	{ address: "10.0.2.1", id: 129, share: 0.25 },
	{ address: "fd00::1", id: 130, share: 1 },
];
const CLIENT = { address: "198.51.100.7", port: 40_000 };
const JOIN = { address: "198.51.100.7", port: 40_001 };
const portFor = ({ address, port }: MptcpEndpoint) =>
	address === VIP.address || address === "2001:db8::80" ? (port === 80 ? 0 : port) : undefined;

const event = (type: MptcpEvent["type"], token: number, local: MptcpEndpoint, remote = CLIENT): MptcpEvent => ({
	type,
	token,
	localId: 0,
	local,
	remote,
});
const made = (own: readonly OwnAddress[] = OWN) => {
	const connections = new MptcpConnections();
	connections.configure({ portFor, own }, 0);
	return connections;
};
const first = { address: "10.0.1.1", port: 80 };
/** A connection with a direct subflow at the first own address. */
const direct = () => {
	const connections = made();
	connections.event(event("established", 1, VIP), 0);
	connections.event(event("subflow-established", 1, first, JOIN), 0);
	return connections;
};
const BACKUP = { do: "backup", token: 1, local: VIP, remote: CLIENT };

test("R35: an own address is announced to a service's client; once its subflow is there, the first is a backup", () => {
	const connections = made();
	expect(connections.event(event("established", 1, VIP), 0)).toEqual([
		{ do: "announce", token: 1, id: 128, endpoint: { address: "10.0.1.1", port: 0 } },
	]);
	expect(connections.event(event("subflow-established", 1, first, JOIN), 0)).toEqual([{ ...BACKUP, backup: true }]);
	expect(connections.totals()).toMatchObject({ connections: 1, direct: 1, subflows: 1, joined: 1 });
	connections.event(event("closed", 1, { address: "::", port: 0 }), 0);
	expect(connections.totals()).toMatchObject({ connections: 0, subflows: 0, joined: 1 });
});

test("R35: connections to other addresses are left alone", () => {
	const connections = made();
	expect(connections.event(event("established", 1, first), 0)).toEqual([]);
	expect(connections.event(event("subflow-established", 1, first, JOIN), 0)).toEqual([]);
	expect(connections.totals().connections).toBe(0);
});

test("R35 R3: a port that is not the service's is announced with the address", () => {
	const [announce] = made().event(event("established", 1, { address: VIP.address, port: 8080 }), 0);
	expect(announce).toMatchObject({ endpoint: { address: "10.0.1.1", port: 8080 } });
});

test("R35 R12: addresses of the client's family are announced by the uplinks' shares", () => {
	const connections = made();
	const counts: Record<string, number> = {};
	for (let i = 0; i < 1000; i++) {
		const [command] = connections.event(event("established", (i * 4_294_967) >>> 0, VIP), 0);
		if (command?.do === "announce") counts[command.endpoint.address] = (counts[command.endpoint.address] ?? 0) + 1;
	}
	expect(counts["10.0.1.1"]! / 1000).toBeCloseTo(0.75, 1);
	expect(Object.keys(counts).sort()).toEqual(["10.0.1.1", "10.0.2.1"]);
	const ipv6 = connections.event(event("established", 7, { address: "2001:db8::80", port: 80 }), 0);
	expect(ipv6).toMatchObject([{ endpoint: { address: "fd00::1" } }]);
});

test("R35 R12: an address whose link is down is withdrawn, and another one announced", () => {
	const connections = direct();
	const down = OWN.map((one) => (one.id === 128 ? { ...one, share: 0 } : one));
	expect(connections.configure({ portFor, own: down }, 0)).toEqual([
		{ ...BACKUP, backup: false },
		{ do: "withdraw", token: 1, id: 128 },
		{ do: "announce", token: 1, id: 129, endpoint: { address: "10.0.2.1", port: 0 } },
	]);
	// The client closes the old subflow: the new announcement stays.
	expect(connections.event(event("subflow-closed", 1, first, JOIN), 0)).toEqual([]);
	expect(connections.event(event("subflow-established", 1, { address: "10.0.2.1", port: 80 }, JOIN), 0)).toEqual([
		{ ...BACKUP, backup: true },
	]);
});

test("R35: a drain withdraws all, and its end announces again", () => {
	const connections = direct();
	const none = OWN.map((one) => ({ ...one, share: 0 }));
	expect(connections.configure({ portFor, own: none }, 0)).toEqual([
		{ ...BACKUP, backup: false },
		{ do: "withdraw", token: 1, id: 128 },
	]);
	expect(connections.event(event("subflow-closed", 1, first, JOIN), 0)).toEqual([]);
	expect(connections.event(event("established", 2, VIP), 0)).toEqual([]);
	const after = connections.configure({ portFor, own: OWN }, 1);
	expect(after.map((command) => [command.do, command.token])).toEqual([
		["announce", 1],
		["announce", 2],
	]);
});

test("R35: when the direct subflow fails the first one serves, and the address is announced again later", () => {
	const connections = direct();
	expect(connections.event(event("subflow-closed", 1, first, JOIN), 1000)).toEqual([
		{ ...BACKUP, backup: false },
		{ do: "withdraw", token: 1, id: 128 },
	]);
	expect(connections.retry(1000 + RETRY_MS - 1)).toEqual([]);
	expect(connections.retry(1000 + RETRY_MS)).toMatchObject([{ do: "announce", id: 128 }]);
});

test("R35: a connection whose service is configured no more is forgotten, its address withdrawn", () => {
	const connections = direct();
	const commands = connections.configure({ portFor: () => undefined, own: OWN }, 0);
	expect(commands.map((command) => command.do)).toEqual(["backup", "withdraw"]);
	expect(connections.totals().connections).toBe(0);
});

const listed = (token: number, local: MptcpEndpoint, remote: MptcpEndpoint, bytes: number): MptcpSubflow => ({
	token,
	localId: local === VIP ? 0 : 200,
	local,
	remote,
	joined: local !== VIP,
	bytesReceived: bytes,
	bytesSent: 2 * bytes,
});

test("R35: the list of subflows counts bytes of the direct ones, and finds what events did not tell", () => {
	const connections = made();
	const subflows = [listed(1, VIP, CLIENT, 100), listed(1, first, JOIN, 1000), listed(2, VIP, JOIN, 5)];
	expect(connections.list(subflows, connections.beginList(), 0)).toEqual([
		{ do: "announce", token: 2, id: 128, endpoint: { address: "10.0.1.1", port: 0 } },
		{ ...BACKUP, backup: true },
	]);
	expect(
		connections.list([listed(1, VIP, CLIENT, 100), listed(1, first, JOIN, 1500)], connections.beginList(), 0),
	).toEqual([]);
	expect(connections.totals()).toMatchObject({ bytesReceived: 1500, bytesSent: 3000 });
	// What an earlier daemon announced is withdrawn under the id that it had.
	const none = OWN.map((one) => ({ ...one, share: 0 }));
	expect(connections.configure({ portFor, own: none }, 0)).toContainEqual({ do: "withdraw", token: 1, id: 200 });
});

test("R35: a connection that the kernel takes no announcement for is asked once", () => {
	const connections = made();
	expect(connections.list([listed(1, VIP, CLIENT, 0)], connections.beginList(), 0)).toHaveLength(1);
	connections.refuse(1);
	expect(connections.list([listed(1, VIP, CLIENT, 0)], connections.beginList(), 0)).toEqual([]);
	// Its token may be another connection's later.
	connections.event(event("closed", 1, VIP), 0);
	expect(connections.event(event("established", 1, VIP), 0)).toHaveLength(1);
});

test("R35: connections that are listed no more are forgotten, and newer ones are not", () => {
	const connections = direct();
	const pending = connections.beginList();
	connections.event(event("established", 2, VIP), 0);
	connections.list([], pending, 0);
	expect(connections.totals()).toMatchObject({ connections: 1, subflows: 0 });
	expect(connections.event(event("subflow-established", 2, first, JOIN), 0)).toHaveLength(1);
});

test("R35: what closes while the list is on its way does not come back by it", () => {
	const connections = direct();
	const whole = connections.beginList();
	connections.event(event("closed", 1, VIP), 0);
	expect(connections.list([listed(1, VIP, CLIENT, 0), listed(1, first, JOIN, 0)], whole, 0)).toEqual([]);
	expect(connections.totals().connections).toBe(0);
	const other = direct();
	const part = other.beginList();
	other.event(event("subflow-closed", 1, first, JOIN), 0);
	expect(other.list([listed(1, VIP, CLIENT, 0), listed(1, first, JOIN, 0)], part, 0)).toEqual([]);
	expect(other.totals()).toMatchObject({ connections: 1, direct: 0, subflows: 0 });
});
