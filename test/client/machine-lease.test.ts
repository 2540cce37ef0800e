// The state machine: terms, renewal and end of what is bound.

import { describe, expect, test } from "vitest";
import { RedirectionCache, ServiceCache } from "../../src/client/index.js";
import { FLAG, type Header } from "../../src/wire/index.js";
import { B1, B2, B3, Bench, kinds, SERVICE, START } from "./bench.js";

describe("the machine: leases", () => {
	test("R6: term once is valid for one flow: another flow queries again", () => {
		const cache = new ServiceCache();
		const a = new Bench({}, cache);
		a.bind(B1, FLAG.once);
		a.after(3_600_000);
		expect(a.to()).toEqual(B1);
		const b = new Bench({}, cache);
		expect(b.to()).toEqual(SERVICE);
		expect(kinds(b.effects)).toEqual(["query"]);
	});

	test("R7 R23: a used lease is renewed at half its time, ±10 %; another flow adopts it at once", () => {
		const cache = new ServiceCache();
		const b = new Bench({}, cache);
		b.bind(B1, FLAG.leased, { lease: 60 });
		expect(b.events.at(-1)).toEqual({ name: "lease", target: B1, change: "granted", until: START + 60_000 });
		const other = new Bench({}, cache);
		other.now = b.now;
		expect(other.to()).toEqual(B1);
		expect(b.to()).toEqual(B1);
		b.machine.reply(b.turn, B1);
		const at = b.machine.due;
		expect(at).toBeGreaterThanOrEqual(START + 27_000);
		expect(at).toBeLessThanOrEqual(START + 33_000);
		b.after(at - b.now);
		expect(b.to()).toEqual(B1);
		b.machine.reply(b.turn, B1);
		b.now = at;
		const again = new Bench({}, cache);
		again.now = at;
		expect(b.machine.counters.questions).toBe(2);
	});

	test("R7: the answer to a renewal extends the lease; an unused lease ends", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.machine.reply(b.turn, B1);
		b.after(b.machine.due - b.now);
		const renewal = b.redirect(B1, FLAG.leased, { nonce: b.query.nonce, lease: 60 });
		b.receive(renewal);
		expect(b.machine.until).toBe(b.now + 60_000 - (b.now % 1000));
		expect(b.events).toMatchObject([{ name: "lease", change: "renewed" }]);
		expect(kinds(b.after(58_000))).toEqual([]);
		b.after(2000);
		expect(b.events).toMatchObject([{ name: "lease", change: "ended" }]);
		expect(b.state).toBe("idle");
		expect(b.to()).toEqual(SERVICE);
	});

	test("R7: a lease never outlasts its end by either clock, nor by a clock that is set back", () => {
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
		over.receive(over.redirect(B1, FLAG.leased, { nonce: over.query.nonce, lease: 5, issued: START / 1000 - 10 }));
		expect(over.state).toBe("staying");
		const none = new Bench();
		none.bind(B1, FLAG.leased, { lease: 0 });
		expect(none.machine.until).toBe(Infinity);
	});

	test("R7: a renewal to another target is make before break: the old target is used until the new one answers", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.machine.reply(b.turn, B1);
		b.after(b.machine.due - b.now);
		const { nonce } = b.query;
		b.receive(b.redirect(B2, FLAG.leased, { nonce, lease: 60 }));
		expect(b.to()).toEqual(B1);
		b.ack(B2, nonce);
		expect(kinds(b.effects)).toEqual(["unbind", "bind", "notify", "notify"]);
		expect(b.events[0]).toEqual({ name: "redirect", target: B2, previous: B1, term: "leased" });
		expect(b.to()).toEqual(B2);
	});

	test("R5 R23: permanent lasts a day at most; after a restart its target is probed before use", () => {
		const cache = new RedirectionCache();
		const b = new Bench({ permanentMs: 1e12 }, cache.of("udp", SERVICE));
		b.bind(B1, FLAG.permanent);
		expect(b.machine.until).toBe(START + 86_400_000);
		const text = JSON.stringify(cache.export(b.now));
		const later = new RedirectionCache();
		expect(later.import(JSON.parse(text), b.now + 1000)).toBe(1);
		const c = new Bench({}, later.of("udp", SERVICE));
		c.now = b.now + 1000;
		expect(c.to()).toEqual(SERVICE);
		expect(kinds(c.effects)).toEqual(["probe"]);
		c.ack(B1, (c.effects[0] as { header: Header }).header.nonce);
		expect(c.to()).toEqual(B1);
		c.after(86_400_000);
		expect(c.to()).toEqual(SERVICE);
	});

	test("a once-ticket that is no longer in force is renewed before its target is probed", () => {
		const b = new Bench();
		b.bind(B1, FLAG.once);
		b.after(60_000);
		b.route();
		expect(kinds(b.after(200))).toEqual(["query"]);
		const { nonce } = b.query;
		expect(kinds(b.receive(b.redirect(B1, FLAG.once, { nonce })))).toEqual(["probe"]);
		b.ack(B1, nonce);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters).toMatchObject({ failovers: 0, renewals: 1 });
	});

	test("R7: a revoke with the redirect's nonce causes one query and no more; any other is ignored", () => {
		const b = new Bench();
		const { nonce } = b.bind(B1, FLAG.leased, { lease: 60 });
		b.receive(b.header("revoke", B1, 0, { nonce: nonce + 1n }), B1);
		b.receive(b.header("revoke", B2, 0, { nonce }), B1);
		b.receive(b.header("revoke", B1, 0, { nonce }), B3);
		b.receive(b.header("revoke", B1, 0, { nonce, issued: START / 1000 - 31 }), B1);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters).toMatchObject({ ignoredNonce: 1, ignoredSource: 2, ignoredWindow: 1 });
		b.receive(b.header("revoke", B1, 0, { nonce }), B1);
		expect(b.query.type).toBe("capability");
		expect(b.events).toMatchObject([{ name: "lease", change: "revoked" }]);
		expect(b.to()).toEqual(SERVICE);
		expect(b.machine.cache.isBarred(B1, b.now)).toBe(false);
	});
});
