// listening.test.ts - which sockets serve a service, and what a backend says of services without one.

import { describe, expect, test } from "vitest";
import {
	type ListeningState,
	type LocalSocket,
	listening,
	listeningAdvice,
	missing,
	type ServicePlace,
	unbound,
} from "../../src/health/index.js";

const GAME: ServicePlace = {
	service: "udp/203.0.113.10/27015",
	protocol: "udp",
	address: "203.0.113.10",
	port: 27015,
	bound: "auto",
};
const socket = (address: string, more: Partial<LocalSocket> = {}): LocalSocket => ({
	protocol: "udp",
	address,
	port: 27015,
	both: false,
	connected: false,
	...more,
});
const none: ListeningState = new Map();
const listens = (place: ServicePlace, ...sockets: LocalSocket[]) =>
	[...listening(none, [place], sockets, 0).values()][0]!.listens;

describe("listening", () => {
	test("R31: a socket at the service's address or at the wildcard serves, and no other", () => {
		expect(listens(GAME, socket("203.0.113.10"))).toBe(true);
		expect(listens(GAME, socket("0.0.0.0"))).toBe(true);
		expect(listens(GAME, socket("::", { both: true }))).toBe(true);
		expect(listens(GAME, socket("::"))).toBe(false);
		expect(listens(GAME, socket("10.0.2.11"))).toBe(false);
		expect(listens(GAME, socket("0.0.0.0", { port: 27016 }))).toBe(false);
		expect(listens(GAME, socket("0.0.0.0", { protocol: "tcp" }))).toBe(false);
		const ipv6 = { ...GAME, address: "2001:db8::10" };
		expect(listens(ipv6, socket("::"))).toBe(true);
		expect(listens(ipv6, socket("0.0.0.0"))).toBe(false);
	});

	test("R32: a UDP server that has connected its only socket to a client serves it, in the family of that client", () => {
		expect(listens(GAME, socket("10.0.2.11", { connected: true }))).toBe(true);
		expect(listens(GAME, socket("fd77::1", { connected: true }))).toBe(false);
	});

	test("R31: a port is named when its socket has gone; one that never had a socket, only where it must have one", () => {
		const never = listening(none, [GAME], [], 0);
		expect(missing(never)).toEqual([]);
		expect(missing(listening(none, [{ ...GAME, bound: "require" }], [], 0))).toHaveLength(1);
		const bound = listening(never, [GAME], [socket("0.0.0.0")], 1000);
		expect(missing(bound)).toEqual([]);
		const gone = listening(bound, [GAME], [], 2000);
		expect(missing(gone)).toMatchObject([{ service: GAME.service, port: 27015, since: 2000 }]);
		expect(missing(listening(gone, [GAME], [], 3000)), "since then").toMatchObject([{ since: 2000 }]);
		expect(missing(listening(bound, [{ ...GAME, bound: "ignore" }], [], 2000))).toEqual([]);
	});

	test("R31: a UDP socket that comes and goes is not missed while the service's TCP port is there", () => {
		const tcp: ServicePlace = { ...GAME, service: "tcp/203.0.113.10/27015", protocol: "tcp" };
		const listener = socket("0.0.0.0", { protocol: "tcp" });
		const both = listening(none, [GAME, tcp], [listener, socket("0.0.0.0")], 0);
		expect(unbound(listening(both, [GAME, tcp], [listener], 1))).toEqual([]);
		expect(missing(listening(both, [GAME, tcp], [], 1)), "the program is gone").toHaveLength(2);
	});

	test("R32: the advice names the address at which the program listens instead", () => {
		const [nothing] = listening(none, [GAME], [], 0).values();
		expect(listeningAdvice(nothing!)).toBe(
			"nothing listens at udp 203.0.113.10:27015 on this host; start the service's program",
		);
		const [other] = listening(none, [GAME], [socket("10.0.2.11")], 0).values();
		expect(listeningAdvice(other!)).toBe(
			"nothing listens at udp 203.0.113.10:27015 on this host, only at 10.0.2.11; " +
				"bind its program to the wildcard address or to 203.0.113.10",
		);
	});
});
