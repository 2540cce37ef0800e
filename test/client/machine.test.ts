// The state machine: query, trial, limits and modes; leases and failures have files of their own.

import { describe, expect, test } from "vitest";
import { ServiceCache } from "../../src/client/index.js";
import { decodeHeader, type Endpoint, encodeHeader, FLAG } from "../../src/wire/index.js";
import { B1, B2, B3, Bench, CONTROL, kinds, SERVICE } from "./bench.js";

describe("the machine", () => {
	test("R24 R25: queries while datagrams go to the gateway; three unanswered are plain for 10 min", () => {
		const b = new Bench();
		expect(b.state).toBe("idle");
		expect(b.to()).toEqual(SERVICE);
		expect(b.effects).toEqual([{ do: "query", to: CONTROL, header: expect.objectContaining({ type: "capability" }) }]);
		const first = b.query;
		expect(first.nonce).not.toBe(0n);
		expect(decodeHeader(encodeHeader(first))).toEqual({ ok: true, header: first });
		expect(b.state).toBe("asking");
		expect(b.after(249)).toEqual([]);
		expect(b.after(1)).toEqual([{ do: "query", to: CONTROL, header: first }]);
		expect(b.to()).toEqual(SERVICE);
		expect(kinds(b.after(500))).toEqual(["query"]);
		expect(b.after(999)).toEqual([]);
		b.after(1);
		expect(b.events).toEqual([{ name: "plain", why: "no-capability", until: b.now + 600_000 }]);
		expect(b.state).toBe("plain");
		b.after(599_999);
		expect(b.to()).toEqual(SERVICE);
		expect(b.effects).toEqual([]);
		b.after(1);
		b.to();
		expect(kinds(b.effects)).toEqual(["query"]);
		expect(b.query.nonce).not.toBe(first.nonce);
	});

	test("R24: three lost queries keep a client with a gateway that has redirected it before for 30 s only", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 10 });
		b.after(60_000);
		b.route();
		expect(b.state).toBe("asking");
		b.after(1750);
		expect(b.events).toEqual([{ name: "plain", why: "no-capability", until: b.now + 30_000 }]);
		b.after(30_000);
		b.route();
		expect(kinds(b.effects)).toEqual(["query"]);
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
		const { nonce } = b.query;
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

	test("R4: without the redirection flag the client stays with the gateway", () => {
		const b = new Bench();
		b.route();
		b.receive(b.header("redirect", B1, FLAG.leased, { nonce: b.query.nonce, lease: 60 }));
		expect(b.events).toMatchObject([{ name: "plain", why: "not-expected" }]);
		expect(b.to()).toEqual(SERVICE);
	});

	test("R24: wrong nonce, wrong sender, wrong time, answered before, not for clients: ignored and counted", () => {
		const b = new Bench();
		b.route();
		const { nonce } = b.query;
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
		expect(b.effects).toEqual([]);
		b.after(1);
		b.to();
		expect(kinds(b.effects)).toEqual(["query"]);
	});

	test("flows to one service share one query and one redirection", () => {
		const cache = new ServiceCache();
		const all = Array.from({ length: 20 }, () => new Bench({}, cache));
		for (const b of all) expect(b.to()).toEqual(SERVICE);
		expect(all.filter((b) => kinds(b.effects).includes("query"))).toHaveLength(1);
		(all[0] as Bench).effects = [...(all[0] as Bench).effects];
		const { nonce } = (all[0] as Bench).query;
		(all[0] as Bench).receive((all[0] as Bench).redirect(B1, FLAG.leased, { nonce, lease: 60 }));
		(all[0] as Bench).ack(B1, nonce);
		for (const b of all) expect(b.to()).toEqual(B1);
		expect(cache.redirections).toHaveLength(1);
		(all[3] as Bench).machine.refused((all[3] as Bench).turn, B1);
		for (const b of all) expect(b.to()).toEqual(SERVICE);
	});

	test("required: datagrams wait for a target, and are refused if there is none; off: nothing is queried", () => {
		const b = new Bench({ mode: "required" });
		expect(b.to()).toBe("hold");
		const { nonce } = b.query;
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
		expect(off.effects).toEqual([]);
		expect(off.machine.due).toBe(Infinity);
	});
});
