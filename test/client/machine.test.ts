// The redirecting client's machine: every transition by hand, and the rules that hold whatever happens.

import { describe, expect, test } from "vitest";
import {
	type Action,
	Cache,
	COUNTERS,
	type Counters,
	type Endpoint,
	Machine,
	type MachineEvent,
	Memory,
	type Prefix,
	permitted,
	type Route,
	readPrefix,
	type Settings,
	type Turn,
	textOf,
} from "../../src/client/index.js";
import { decodeHeader, encodeHeader, FLAG, type Header, type HeaderType, parseAddress } from "../../src/wire/index.js";

const SERVICE: Endpoint = { address: "203.0.113.53", port: 53 };
const CONTROL: Endpoint = { ...SERVICE, port: 3575 };
const B1: Endpoint = { address: "198.51.100.11", port: 5353 };
const B2: Endpoint = { address: "198.51.100.12", port: 5353 };
const B3: Endpoint = { address: "198.51.100.13", port: 53 };
const START = 1_700_000_000_000;

const list = (...texts: string[]) => texts.map((text) => readPrefix(text) as Prefix);

/** A machine, its clock, and what it did last. */
class Bench {
	now = START;
	#nonce = 1n;
	readonly machine: Machine;
	readonly turn: Turn;
	actions: Action[] = [];

	constructor(settings: Partial<Settings> = {}, memory = new Memory(), service = SERVICE) {
		this.machine = new Machine(service, settings, memory);
		const bench = this;
		this.turn = {
			get now() {
				return bench.now;
			},
			random: () => bench.#nonce++ * 0x9e3779b97f4a7c15n,
		};
	}

	get state() {
		return this.machine.state(this.now);
	}

	route(): Route {
		const route = this.machine.route(this.turn);
		this.actions = [...route.actions];
		return route;
	}

	/** Where a datagram goes. */
	to(): Endpoint | string {
		const route = this.route();
		return route.go === "send" ? route.to : route.go;
	}

	after(ms: number): Action[] {
		const end = this.now + ms;
		const all: Action[] = [];
		while (this.machine.due <= end) {
			this.now = Math.max(this.now, this.machine.due);
			all.push(...this.machine.tick(this.turn));
		}
		this.now = end;
		all.push(...this.machine.tick(this.turn));
		this.actions = all;
		return all;
	}

	receive(header: Header, from: Endpoint = CONTROL): Action[] {
		this.actions = this.machine.receive(this.turn, header, from);
		return this.actions;
	}

	get asked(): Header {
		return this.actions.filter((one) => one.do === "ask").at(-1)?.header as Header;
	}

	get events(): MachineEvent[] {
		return this.actions.flatMap((one) => (one.do === "tell" ? [one.event] : []));
	}

	header(type: HeaderType, target: Endpoint, flags: number, more: Partial<Header> = {}): Header {
		const address = parseAddress(target.address) as Uint8Array;
		const v6 = target.address.includes(":") ? FLAG.ipv6 : 0;
		const issued = Math.floor(this.now / 1000);
		const fields = { port: target.port, lease: 0, hops: 0, keyId: 1, issued, nonce: 0n, address, tag: 7n };
		return { ...fields, type, flags: flags | v6, ...more };
	}

	redirect(target: Endpoint, flags: number, more: Partial<Header> = {}): Header {
		return this.header("redirect", target, flags | FLAG.redirect, more);
	}

	ack(target: Endpoint, nonce: bigint): Action[] {
		return this.receive(this.header("probe-ack", target, 0, { nonce }), target);
	}

	/** Asked, told, probed and bound; its ticket. */
	bind(target: Endpoint, flags: number, more: Partial<Header> = {}): Header {
		this.route();
		const { nonce } = this.asked;
		const ticket = this.redirect(target, flags, { nonce, ...more });
		this.receive(ticket);
		this.ack(target, nonce);
		expect(this.state).toBe("bound");
		return ticket;
	}
}

const kinds = (actions: readonly Action[]) => actions.map((one) => one.do);

describe("the machine", () => {
	test("R24 R25: asks with a nonce while datagrams go by the gateway; three times unanswered is plain, for ten minutes", () => {
		const b = new Bench();
		expect(b.state).toBe("idle");
		expect(b.to()).toEqual(SERVICE);
		expect(b.actions).toEqual([{ do: "ask", to: CONTROL, header: expect.objectContaining({ type: "capability" }) }]);
		const first = b.asked;
		expect(first.nonce).not.toBe(0n);
		expect(decodeHeader(encodeHeader(first))).toEqual({ ok: true, header: first });
		expect(b.state).toBe("asking");
		expect(b.after(249)).toEqual([]);
		expect(b.after(1)).toEqual([{ do: "ask", to: CONTROL, header: first }]);
		expect(b.to()).toEqual(SERVICE);
		expect(kinds(b.after(500))).toEqual(["ask"]);
		expect(b.after(999)).toEqual([]);
		b.after(1);
		expect(b.events).toEqual([{ name: "plain", why: "no-capability", until: b.now + 600_000 }]);
		expect(b.state).toBe("plain");
		b.after(599_999);
		expect(b.to()).toEqual(SERVICE);
		expect(b.actions).toEqual([]);
		b.after(1);
		b.to();
		expect(kinds(b.actions)).toEqual(["ask"]);
		expect(b.asked.nonce).not.toBe(first.nonce);
	});

	test("a refusal at the control port is plain at once", () => {
		const b = new Bench();
		b.route();
		b.machine.refused(b.turn, CONTROL);
		expect(b.state).toBe("plain");
	});

	test("R4 R20 R22: a redirect is followed once its target has answered a probe, and no sooner", () => {
		const b = new Bench();
		b.route();
		const { nonce } = b.asked;
		const ticket = b.redirect(B1, FLAG.once, { nonce });
		expect(b.receive(ticket)).toEqual([{ do: "probe", to: B1, header: { ...ticket, type: "probe" } }]);
		expect(b.state).toBe("probing");
		expect(b.to()).toEqual(SERVICE);
		expect(kinds(b.after(100))).toEqual(["probe"]);
		b.ack(B1, nonce);
		expect(b.events).toEqual([{ name: "redirect", target: B1, term: "once" }]);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters).toMatchObject({ redirects: 1, acks: 1, toGateway: 2, toTarget: 1 });
	});

	test("R4: without the redirection flag nobody is expected to redirect himself", () => {
		const b = new Bench();
		b.route();
		b.receive(b.header("redirect", B1, FLAG.leased, { nonce: b.asked.nonce, lease: 60 }));
		expect(b.events).toMatchObject([{ name: "plain", why: "not-expected" }]);
		expect(b.to()).toEqual(SERVICE);
	});

	test("R6: once is this flow's: another one asks anew", () => {
		const memory = new Memory();
		const a = new Bench({}, memory);
		a.bind(B1, FLAG.once);
		a.after(3_600_000);
		expect(a.to()).toEqual(B1);
		const b = new Bench({}, memory);
		expect(b.to()).toEqual(SERVICE);
		expect(kinds(b.actions)).toEqual(["ask"]);
	});

	test("R7 R23: a lease is renewed at half its time, give or take a tenth, if it was used; another flow takes it at once", () => {
		const memory = new Memory();
		const b = new Bench({}, memory);
		b.bind(B1, FLAG.leased, { lease: 60 });
		expect(b.events.at(-1)).toEqual({ name: "lease", target: B1, change: "granted", until: START + 60_000 });
		const other = new Bench({}, memory);
		other.now = b.now;
		expect(other.to()).toEqual(B1);
		expect(b.to()).toEqual(B1);
		b.machine.heard(b.turn, B1);
		const at = b.machine.due;
		expect(at).toBeGreaterThanOrEqual(START + 27_000);
		expect(at).toBeLessThanOrEqual(START + 33_000);
		b.after(at - b.now);
		expect(b.to()).toEqual(B1);
		b.machine.heard(b.turn, B1);
		b.now = at;
		const again = new Bench({}, memory);
		again.now = at;
		expect(b.machine.counters.questions).toBe(2);
	});

	test("R7: the answer to a renewal makes the lease longer; unused, it is let go", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.machine.heard(b.turn, B1);
		b.after(b.machine.due - b.now);
		const renewal = b.redirect(B1, FLAG.leased, { nonce: b.asked.nonce, lease: 60 });
		b.receive(renewal);
		expect(b.machine.until).toBe(b.now + 60_000 - (b.now % 1000));
		expect(b.events).toMatchObject([{ name: "lease", change: "renewed" }]);
		expect(kinds(b.after(58_000))).toEqual([]);
		b.after(2000);
		expect(b.events).toMatchObject([{ name: "lease", change: "ended" }]);
		expect(b.state).toBe("idle");
		expect(b.to()).toEqual(SERVICE);
	});

	test("R7: a lease never outlasts its end by either clock, nor a clock that is set back", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 20, issued: START / 1000 - 15 });
		expect(b.machine.until).toBe(START + 5000);
		const ahead = new Bench();
		ahead.bind(B1, FLAG.leased, { lease: 20, issued: START / 1000 + 15 });
		expect(ahead.machine.until).toBe(START + 20_000);
		ahead.now -= 3_600_000;
		ahead.machine.tick(ahead.turn);
		expect(ahead.machine.until).toBe(START - 3_600_000 + 20_000);
		const over = new Bench();
		over.route();
		over.receive(over.redirect(B1, FLAG.leased, { nonce: over.asked.nonce, lease: 5, issued: START / 1000 - 10 }));
		expect(over.state).toBe("staying");
		const none = new Bench();
		none.bind(B1, FLAG.leased, { lease: 0 });
		expect(none.machine.until).toBe(Infinity);
	});

	test("R7: a renewal to another target is make before break; the old one is used until the new one answers", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.machine.heard(b.turn, B1);
		b.after(b.machine.due - b.now);
		const { nonce } = b.asked;
		b.receive(b.redirect(B2, FLAG.leased, { nonce, lease: 60 }));
		expect(b.to()).toEqual(B1);
		b.ack(B2, nonce);
		expect(kinds(b.actions)).toEqual(["unbind", "bind", "tell", "tell"]);
		expect(b.events[0]).toEqual({ name: "redirect", target: B2, previous: B1, term: "leased" });
		expect(b.to()).toEqual(B2);
	});

	test("R5 R23: permanent lasts a day at most, and across a restart its target is tried before it is used", () => {
		const cache = new Cache();
		const b = new Bench({ permanent: 1e12 }, cache.of("udp", SERVICE));
		b.bind(B1, FLAG.permanent);
		expect(b.machine.until).toBe(START + 86_400_000);
		const text = JSON.stringify(cache.export(b.now));
		const later = new Cache();
		expect(later.import(JSON.parse(text), b.now + 1000)).toBe(1);
		const c = new Bench({}, later.of("udp", SERVICE));
		c.now = b.now + 1000;
		expect(c.to()).toEqual(SERVICE);
		expect(kinds(c.actions)).toEqual(["probe"]);
		c.ack(B1, (c.actions[0] as { header: Header }).header.nonce);
		expect(c.to()).toEqual(B1);
		c.after(86_400_000);
		expect(c.to()).toEqual(SERVICE);
	});

	test("R8 R21: a refused target is reported with its own ticket, and the gateway's third server is followed", () => {
		const b = new Bench();
		const ticket = b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.actions = b.machine.refused(b.turn, B1);
		const failure = { ...ticket, type: "failure", flags: ticket.flags | FLAG.failure };
		expect(b.actions).toEqual([
			{ do: "unbind", target: B1 },
			{ do: "tell", event: { name: "failover", target: B1, cause: "refused" } },
			{ do: "ask", to: CONTROL, header: failure },
			{ do: "resend", target: B1, cause: "refused" },
		]);
		expect(decodeHeader(encodeHeader(failure as Header)).ok).toBe(true);
		expect(b.state).toBe("failing");
		expect(b.to()).toEqual(SERVICE);
		b.receive(ticket); // the old answer, late and twice: its target is barred, so it is only reported again
		expect(b.asked.type).toBe("failure");
		b.receive(b.redirect(B3, FLAG.leased | FLAG.failure, { nonce: ticket.nonce, lease: 60 }));
		b.ack(B3, ticket.nonce);
		expect(b.to()).toEqual(B3);
	});

	test("R21: a target that is sent to and says nothing is probed thrice, then it has failed", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		expect(kinds(b.after(199))).toEqual([]);
		expect(kinds(b.after(1))).toEqual(["probe"]);
		expect(kinds(b.after(220))).toEqual(["probe", "probe"]);
		expect(b.to()).toEqual(B1);
		expect(kinds(b.after(150))).toEqual(["unbind", "tell", "ask", "resend"]);
		expect(b.events).toEqual([{ name: "failover", target: B1, cause: "silent" }]);
		const alive = new Bench();
		const { nonce } = alive.bind(B1, FLAG.leased, { lease: 60 });
		alive.route();
		alive.after(250);
		alive.ack(B1, nonce);
		expect(alive.after(10_000)).toEqual([]);
		// Who takes and never answers is asked less and less often.
		alive.route();
		expect(kinds(alive.after(399))).toEqual([]);
		expect(kinds(alive.after(1))).toEqual(["probe"]);
		alive.ack(B1, nonce);
		alive.route();
		expect(kinds(alive.after(799))).toEqual([]);
		const answered = new Bench();
		answered.bind(B1, FLAG.leased, { lease: 60 });
		answered.route();
		answered.machine.heard(answered.turn, B1);
		expect(answered.after(10_000)).toEqual([]);
	});

	test("a word that anybody may have said is no failure: the target is asked, and only its own refusal, or its silence, is one", () => {
		const b = new Bench();
		const { nonce } = b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		expect(kinds(b.machine.suspect(b.turn, B1))).toEqual(["probe"]);
		expect(kinds(b.machine.suspect(b.turn, B1))).toEqual([]);
		b.ack(B1, nonce);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters.failovers).toBe(0);
		b.machine.suspect(b.turn, B1);
		expect(kinds(b.machine.refused(b.turn, B1))).toEqual(["unbind", "tell", "ask", "resend"]);
		expect(kinds(b.machine.suspect(b.turn, B2))).toEqual([]);
	});

	test("a once-ticket that is no longer in force is made new before its target is probed", () => {
		const b = new Bench();
		b.bind(B1, FLAG.once);
		b.after(60_000);
		b.route();
		expect(kinds(b.after(200))).toEqual(["ask"]);
		const { nonce } = b.asked;
		expect(kinds(b.receive(b.redirect(B1, FLAG.once, { nonce })))).toEqual(["probe"]);
		b.ack(B1, nonce);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters).toMatchObject({ failovers: 0, renewals: 1 });
	});

	test("R21: an unanswered failure leaves the service with its gateway for as long as the bar", () => {
		const b = new Bench();
		b.bind(B1, FLAG.once);
		b.machine.refused(b.turn, B1);
		b.after(1750);
		expect(b.events).toEqual([{ name: "plain", why: "no-capability", until: b.now + 30_000 }]);
		expect(b.to()).toEqual(SERVICE);
	});

	test("R21: a failed target is barred for 30 s, then for twice as long, up to 300 s", () => {
		const memory = new Memory();
		let now = START;
		for (const period of [30, 60, 120, 240, 300, 300]) {
			memory.bar(B1, now, 30_000, 300_000);
			expect(memory.isBarred(B1, now + period * 1000 - 1)).toBe(true);
			expect(memory.isBarred(B1, now + period * 1000)).toBe(false);
			now += period * 1000;
		}
		memory.bar(B1, now + 300_000, 30_000, 300_000);
		expect(memory.isBarred(B1, now + 330_000)).toBe(false);
	});

	test("a redirect to a barred target is answered by a failure of it", () => {
		const memory = new Memory();
		memory.bar(B1, START, 30_000, 300_000);
		const b = new Bench({}, memory);
		b.route();
		const { nonce } = b.asked;
		b.receive(b.redirect(B1, FLAG.once, { nonce }));
		expect(b.asked).toMatchObject({ type: "failure", nonce, port: B1.port });
		expect(b.state).toBe("failing");
	});

	test("R7: a revoke with the redirect's nonce makes it ask again, and no more; any other is ignored", () => {
		const b = new Bench();
		const { nonce } = b.bind(B1, FLAG.leased, { lease: 60 });
		b.receive(b.header("revoke", B1, 0, { nonce: nonce + 1n }), B1);
		b.receive(b.header("revoke", B2, 0, { nonce }), B1);
		b.receive(b.header("revoke", B1, 0, { nonce }), B3);
		b.receive(b.header("revoke", B1, 0, { nonce, issued: START / 1000 - 31 }), B1);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters).toMatchObject({ ignoredNonce: 1, ignoredSource: 2, ignoredWindow: 1 });
		b.receive(b.header("revoke", B1, 0, { nonce }), B1);
		expect(b.asked.type).toBe("capability");
		expect(b.events).toMatchObject([{ name: "lease", change: "revoked" }]);
		expect(b.to()).toEqual(SERVICE);
		expect(b.machine.memory.isBarred(B1, b.now)).toBe(false);
	});

	test("R24: wrong nonce, wrong sender, wrong time, answered before, not for clients: ignored, and counted", () => {
		const b = new Bench();
		b.route();
		const { nonce } = b.asked;
		const good = b.redirect(B1, FLAG.once, { nonce });
		b.receive({ ...good, nonce: nonce ^ 1n });
		b.receive(good, B1);
		b.receive(good, { ...SERVICE, port: 54 });
		b.receive({ ...good, issued: good.issued - 31 });
		b.receive({ ...good, issued: good.issued + 31 });
		b.receive({ ...good, type: "forward" });
		b.receive({ ...good, type: "probe-ack" }, B1);
		expect(b.state).toBe("asking");
		expect(kinds(b.receive(good))).toEqual(["probe"]);
		expect(b.receive(good)).toEqual([]);
		b.ack(B2, nonce);
		b.receive(b.header("probe-ack", B1, 0, { nonce }), B2);
		expect(b.state).toBe("probing");
		expect(b.machine.counters).toMatchObject({
			ignoredNonce: 2,
			ignoredSource: 4,
			ignoredWindow: 2,
			ignoredType: 1,
			ignoredAnswered: 1,
		});
	});

	test("issued is compared modulo 2^32", () => {
		const b = new Bench();
		b.now = (2 ** 32 + 5) * 1000;
		b.bind(B1, FLAG.leased, { lease: 60, issued: 2 ** 32 - 5 });
		expect(b.machine.until).toBe((2 ** 32 + 55) * 1000);
	});

	test("five redirections in 300 s, then the service stays with its gateway for 300 s", () => {
		const b = new Bench();
		let ticket = b.bind(B1, FLAG.leased, { lease: 600 });
		for (const target of [B2, B3, { ...B1, port: 1 }, { ...B1, port: 2 }]) {
			b.machine.refused(b.turn, b.machine.target as Endpoint);
			ticket = b.redirect(target, FLAG.leased | FLAG.failure, { nonce: ticket.nonce, lease: 600 });
			b.receive(ticket);
			b.ack(target, ticket.nonce);
			expect(b.to()).toEqual(target);
		}
		b.machine.refused(b.turn, { ...B1, port: 2 });
		b.receive(b.redirect({ ...B1, port: 3 }, FLAG.leased, { nonce: ticket.nonce, lease: 600 }));
		expect(b.events).toEqual([{ name: "plain", why: "limit", until: b.now + 300_000 }]);
		b.after(299_999);
		expect(b.to()).toEqual(SERVICE);
		expect(b.actions).toEqual([]);
		b.after(1);
		b.to();
		expect(kinds(b.actions)).toEqual(["ask"]);
	});

	test("flows to one service share one question and one redirection", () => {
		const memory = new Memory();
		const all = Array.from({ length: 20 }, () => new Bench({}, memory));
		for (const b of all) expect(b.to()).toEqual(SERVICE);
		expect(all.filter((b) => kinds(b.actions).includes("ask"))).toHaveLength(1);
		(all[0] as Bench).actions = [...(all[0] as Bench).actions];
		const { nonce } = (all[0] as Bench).asked;
		(all[0] as Bench).receive((all[0] as Bench).redirect(B1, FLAG.leased, { nonce, lease: 60 }));
		(all[0] as Bench).ack(B1, nonce);
		for (const b of all) expect(b.to()).toEqual(B1);
		expect(memory.redirections).toHaveLength(1);
		(all[3] as Bench).machine.refused((all[3] as Bench).turn, B1);
		for (const b of all) expect(b.to()).toEqual(SERVICE);
	});

	test("required: datagrams wait for a target, and are refused where there is none; off: nothing is asked", () => {
		const b = new Bench({ mode: "required" });
		expect(b.to()).toBe("hold");
		const { nonce } = b.asked;
		b.receive(b.redirect(B1, FLAG.once, { nonce }));
		expect(b.to()).toBe("hold");
		b.ack(B1, nonce);
		expect(b.to()).toEqual(B1);
		const none = new Bench({ mode: "required" });
		none.to();
		none.after(1750);
		expect(none.to()).toBe("refuse");
		const off = new Bench({ mode: "off" });
		expect(off.to()).toEqual(SERVICE);
		expect(off.actions).toEqual([]);
		expect(off.machine.due).toBe(Infinity);
	});
});

describe("targets", () => {
	const rows: [service: string, target: string, listed: string[] | undefined, allowed: boolean][] = [
		["203.0.113.53", "198.51.100.1", undefined, true],
		["203.0.113.53", "198.51.100.1", ["198.51.100.0/24"], true],
		["203.0.113.53", "198.51.101.1", ["198.51.100.0/24"], false],
		["203.0.113.53", "10.0.0.1", undefined, false],
		["203.0.113.53", "10.0.0.1", ["0.0.0.0/0"], false],
		["203.0.113.53", "10.0.0.1", ["10.0.0.0/8"], true],
		["203.0.113.53", "100.64.0.1", undefined, false],
		["10.1.0.1", "10.0.0.1", undefined, true],
		["10.1.0.1", "192.168.0.1", ["10.0.0.0/8"], false],
		["203.0.113.53", "127.0.0.1", ["127.0.0.0/8"], false],
		["127.0.0.1", "127.0.0.2", undefined, false],
		["127.0.0.1", "127.0.0.2", ["0.0.0.0/0"], false],
		["127.0.0.1", "127.0.0.2", ["127.0.0.0/8"], true],
		["203.0.113.53", "169.254.169.254", ["169.254.0.0/16"], false],
		["203.0.113.53", "224.0.0.1", ["0.0.0.0/0"], false],
		["203.0.113.53", "255.255.255.255", ["0.0.0.0/0"], false],
		["203.0.113.53", "0.0.0.0", ["0.0.0.0/0"], false],
		["203.0.113.53", "2001:db8::1", undefined, true],
		["2001:db8::53", "::", ["::/0"], false],
		["2001:db8::53", "::1", ["::/0"], false],
		["2001:db8::53", "::10.0.0.1", ["::/0"], false],
		["2001:db8::53", "fe80::1", ["fe80::/10"], false],
		["2001:db8::53", "ff02::1", ["::/0"], false],
		["2001:db8::53", "fd00::1", undefined, false],
		["2001:db8::53", "fd00::1", ["fd00::/8"], true],
		["fd00::53", "fd00::1", undefined, true],
	];
	test.each(rows)("service %s, target %s, listed %j: %s", (service, target, listed, allowed) => {
		expect(permitted(service, target, listed && list(...listed))).toBe(allowed);
	});

	test("a forbidden one is not followed, and the service stays with its gateway; a mapped address is none", () => {
		for (const [address, more] of [
			["10.0.0.1", 0],
			["198.51.100.1", FLAG.ipv6],
		] as const) {
			const b = new Bench();
			b.route();
			const header = b.redirect({ address, port: 53 }, FLAG.permanent | more, { nonce: b.asked.nonce });
			expect(kinds(b.receive(header))).toEqual(["tell"]);
			expect(b.state).toBe("staying");
			expect(b.machine.counters.declinedForbidden).toBe(1);
		}
	});
});

describe("the cache", () => {
	test("takes nothing that is not well formed", () => {
		const ticket = "139014e9003c00016553f1000123456789abcdef0a00020ba5451cc61a9a2765";
		const entry = (more: object) => ({ version: 1, services: [{ service: "udp 203.0.113.53:53", ...more }] });
		const good = { term: "leased", until: START + 1000, ticket };
		const cases: [unknown, boolean][] = [
			[undefined, false],
			[[], false],
			[{ version: 2, services: [] }, false],
			[{ version: 1, services: [null, 3, { service: "udp nowhere" }] }, false],
			[entry({ binding: good }), true],
			[entry({ binding: { ...good, until: START - 1 } }), false],
			[entry({ binding: { ...good, until: START + 864e6 } }), false],
			[entry({ binding: { ...good, until: "never" } }), false],
			[entry({ binding: { ...good, term: "once" } }), false],
			[entry({ binding: { ...good, ticket: ticket.slice(2) } }), false],
			[entry({ binding: { ...good, ticket: ticket.replace("13", "12") } }), false],
			[entry({ binding: null, barred: [null, 3, { target: 4 }], redirections: ["x"] }), false],
		];
		for (const [data, taken] of cases) {
			const cache = new Cache();
			cache.import(data, START);
			expect(cache.of("udp", SERVICE).binding !== undefined, JSON.stringify(data)).toBe(taken);
		}
	});

	test("what is written is read back", () => {
		const cache = new Cache();
		const memory = cache.of("udp", { address: "2001:db8::53", port: 53 });
		memory.bar({ address: "2001:db8::1", port: 5353 }, START, 30_000, 300_000);
		memory.plainUntil = START + 5;
		memory.stayUntil = START + 6;
		memory.redirections = [START - 1];
		const data = cache.export(START);
		const other = new Cache();
		expect(other.import(JSON.parse(JSON.stringify(data)), START)).toBe(1);
		expect(other.export(START)).toEqual(data);
	});
});

// mulberry32: a failure can be run again.
function random(seed: number): (below: number) => number {
	let state = seed;
	return (below) => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % below;
	};
}

test("R20 R21 R22: whatever happens, 120,000 steps at random over flows that share a memory: the rules hold", () => {
	const all = Array.from({ length: 12 }, (_, seed) => wander(seed + 1, 10_000)).flat();
	const sum = (name: keyof Counters) => all.reduce((total, one) => total + one[name], 0);
	// The way went through every corner.
	for (const name of COUNTERS) expect(sum(name), name).toBeGreaterThan(2);
	expect(sum("toTarget")).toBeGreaterThan(2000);
});

function wander(seed: number, steps: number): Counters[] {
	const below = random(seed);
	const mode = seed % 4 === 0 ? "required" : "preferred";
	const memory = new Memory();
	const targets = list("198.51.100.0/24", "127.0.0.0/8");
	const flows = Array.from({ length: 1 + (seed % 3) }, () => new Machine(SERVICE, { mode, targets }, memory));
	const places: Endpoint[] = [
		B1,
		B2,
		B3,
		SERVICE,
		CONTROL,
		...["10.0.0.1", "127.0.0.1", "224.0.0.1", "192.0.2.1"].map((address) => ({ address, port: 53 })),
		...Array.from({ length: 12 }, (_, i) => ({ address: "198.51.100.99", port: 1000 + i })),
	];
	const any = () => places[below(places.length)] as Endpoint;
	const mostlyGood = () => (below(30) ? (places[[0, 1, 2, 9, 10, 11, 12][below(7)] as number] as Endpoint) : any());
	let now = START;
	let last = 1n;
	const turn: Turn = {
		get now() {
			return now;
		},
		random: () => {
			last = (last * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
			return last;
		},
	};
	// What the rules are judged by, kept apart from what the machine keeps.
	const barred = new Map<string, number>();
	const nonces = new Set<bigint>();
	const tickets: Header[] = [];
	const taken: number[][] = flows.map(() => []);
	const leases = new Map<string, number>();
	const allowed = (to: Endpoint) => to.address.startsWith("198.51.100.") && !((barred.get(textOf(to)) ?? 0) > now);
	let given = 0;
	let sent = 0;

	const judge = (i: number, actions: readonly Action[]) => {
		for (const action of actions) {
			if (action.do === "ask") {
				expect(action.to).toEqual(CONTROL);
				nonces.add(action.header.nonce);
			}
			if (action.do === "probe" || action.do === "bind") {
				const to = action.do === "probe" ? action.to : action.target;
				if (!allowed(to)) expect.unreachable(`seed ${seed}: ${action.do} to ${textOf(to)}`);
			}
			if (action.do === "tell" && action.event.name === "failover") {
				barred.set(textOf(action.event.target), now + 30_000);
			}
			if (action.do === "tell" && action.event.name === "lease" && action.event.change !== "ended")
				leases.set(textOf(action.event.target), action.event.until);
		}
		const mine = taken[i] as number[];
		const before = mine.length;
		const machine = flows[i] as Machine;
		while (mine.length < machine.counters.redirects) mine.push(now);
		if (mine.length === before) return;
		const recent = mine.filter((at) => now < at + 300_000);
		if (recent.length > 5) expect.unreachable(`seed ${seed}: ${recent.length} redirections`);
	};

	for (let step = 0; step < steps; step++) {
		const i = below(flows.length);
		const machine = flows[i] as Machine;
		const dice = below(20);
		if (dice < 6) {
			given++;
			const route = machine.route(turn);
			judge(i, route.actions);
			if (route.go === "send") {
				sent++;
				const { to } = route;
				if (to !== SERVICE) {
					if (!allowed(to)) expect.unreachable(`seed ${seed}: datagram to ${textOf(to)}`);
					if (now >= (machine.until as number)) expect.unreachable(`seed ${seed}: lease used past its end`);
				} else if (mode === "required") expect.unreachable(`seed ${seed}: by the gateway`);
			} else if (mode !== "required") expect.unreachable(`seed ${seed}: ${route.go}`);
			else given--;
		} else if (dice < 10) {
			const list = [...nonces];
			const nonce = below(8) === 0 ? BigInt(below(1000)) : (list.at(-1 - below(Math.min(list.length, 3))) ?? 0n);
			const target = (below(2) ? machine.target : undefined) ?? mostlyGood();
			const flags = [FLAG.once, FLAG.leased, FLAG.permanent, 0][below(4)] as number;
			const types = ["redirect", "redirect", "redirect", "redirect", "revoke", "forward"] as const;
			const header: Header = {
				type: types[below(6)] as HeaderType,
				flags: flags | (below(30) ? FLAG.redirect : 0),
				port: target.port,
				lease: below(400),
				hops: 0,
				keyId: 1,
				issued: Math.floor(now / 1000) - 40 + below(60),
				nonce,
				address: parseAddress(target.address) as Uint8Array,
				tag: 0n,
			};
			if (header.type === "redirect") tickets.push(header);
			judge(i, machine.receive(turn, header, below(4) ? CONTROL : any()));
		} else if (dice < 15) {
			const ticket = tickets.at(-1 - below(3));
			if (ticket === undefined) continue;
			const from = places.find((one) => textOf(one) === textOf(endpointOfHeader(ticket))) ?? any();
			const ack: Header = { ...ticket, type: "probe-ack", flags: 0, issued: Math.floor(now / 1000) };
			judge(i, machine.receive(turn, ack, below(5) ? from : any()));
		} else if (dice === 15) judge(i, machine.refused(turn, below(2) ? (machine.target ?? any()) : any()));
		else if (dice === 16) judge(i, machine.heard(turn, below(2) ? (machine.target ?? any()) : any()));
		else if (dice === 17) {
			const back = machine.replay(turn);
			if (back !== undefined && !allowed(back)) expect.unreachable(`seed ${seed}: replayed to ${textOf(back)}`);
		} else {
			now += below(8) ? below(300) : below(200_000);
			for (const [k, one] of flows.entries()) if (below(4)) judge(k, one.tick(turn));
		}
	}
	expect(sent).toBe(given);
	const counted = flows.reduce((sum, one) => sum + one.counters.toGateway + one.counters.toTarget, 0);
	expect(counted).toBeGreaterThanOrEqual(sent);
	return flows.map((one) => one.counters);
}

function endpointOfHeader(header: Header): Endpoint {
	return { address: header.address.subarray(12).join("."), port: header.port };
}
