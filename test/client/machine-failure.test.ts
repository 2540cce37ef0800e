// The state machine: targets that fail, and bars.

import { describe, expect, test } from "vitest";
import { ServiceCache } from "../../src/client/index.js";
import { decodeHeader, encodeHeader, FLAG, type Header } from "../../src/wire/index.js";
import { B1, B2, B3, Bench, CONTROL, kinds, SERVICE, START } from "./bench.js";

describe("the machine: failures", () => {
	test("R8 R21: a refusing target is reported with its own ticket, and a third server is followed", () => {
		const b = new Bench();
		const ticket = b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.effects = b.machine.refused(b.turn, B1);
		const failure = { ...ticket, type: "failure", flags: ticket.flags | FLAG.failure };
		expect(b.effects).toEqual([
			{ do: "unbind", target: B1 },
			{ do: "notify", event: { name: "failover", target: B1, cause: "refused" } },
			{ do: "query", to: CONTROL, header: failure },
			{ do: "resend", target: B1, cause: "refused" },
		]);
		expect(decodeHeader(encodeHeader(failure as Header)).ok).toBe(true);
		expect(b.state).toBe("failing");
		expect(b.to()).toEqual(SERVICE);
		b.receive(ticket); // the old answer again, late: its target is barred, so it is only reported again
		expect(b.query.type).toBe("failure");
		b.receive(b.redirect(B3, FLAG.leased | FLAG.failure, { nonce: ticket.nonce, lease: 60 }));
		b.ack(B3, ticket.nonce);
		expect(b.to()).toEqual(B3);
	});

	test("R8: if the gateway knows no other target, the service stays with it for 30 s, not for as long as with a gateway that never redirects", () => {
		const b = new Bench();
		const ticket = b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		b.machine.refused(b.turn, B1);
		b.receive(b.header("redirect", SERVICE, FLAG.failure, { nonce: ticket.nonce }));
		expect(b.events).toEqual([{ name: "plain", why: "not-expected", until: b.now + 30_000 }]);
		b.after(29_999);
		expect(b.to()).toEqual(SERVICE);
		expect(b.effects).toEqual([]);
		b.after(1);
		b.to();
		expect(kinds(b.effects)).toEqual(["query"]);
	});

	test("R21: a target that leaves datagrams unanswered is probed three times, then it has failed", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		expect(kinds(b.after(199))).toEqual([]);
		expect(kinds(b.after(1))).toEqual(["probe"]);
		expect(kinds(b.after(220))).toEqual(["probe", "probe"]);
		expect(b.to()).toEqual(B1);
		expect(kinds(b.after(150))).toEqual(["unbind", "notify", "query", "resend"]);
		expect(b.events).toEqual([{ name: "failover", target: B1, cause: "silent" }]);
		const alive = new Bench();
		const { nonce } = alive.bind(B1, FLAG.leased, { lease: 60 });
		alive.route();
		alive.after(250);
		alive.ack(B1, nonce);
		expect(alive.after(10_000)).toEqual([]);
		// A target that accepts and never replies is probed less and less often.
		alive.route();
		expect(kinds(alive.after(399))).toEqual([]);
		expect(kinds(alive.after(1))).toEqual(["probe"]);
		alive.ack(B1, nonce);
		alive.route();
		expect(kinds(alive.after(799))).toEqual([]);
		const answered = new Bench();
		answered.bind(B1, FLAG.leased, { lease: 60 });
		answered.route();
		answered.machine.reply(answered.turn, B1);
		expect(answered.after(10_000)).toEqual([]);
	});

	test("an unauthenticated error is not a failure: the target is probed, and only its refusal or its silence is", () => {
		const b = new Bench();
		const { nonce } = b.bind(B1, FLAG.leased, { lease: 60 });
		b.route();
		expect(kinds(b.machine.suspect(b.turn, B1))).toEqual(["probe"]);
		expect(kinds(b.machine.suspect(b.turn, B1))).toEqual([]);
		b.ack(B1, nonce);
		expect(b.to()).toEqual(B1);
		expect(b.machine.counters.failovers).toBe(0);
		b.machine.suspect(b.turn, B1);
		expect(kinds(b.machine.refused(b.turn, B1))).toEqual(["unbind", "notify", "query", "resend"]);
		expect(kinds(b.machine.suspect(b.turn, B2))).toEqual([]);
	});

	test("R21: after an unanswered failure report the service stays with its gateway for the time of the bar", () => {
		const b = new Bench();
		b.bind(B1, FLAG.once);
		b.machine.refused(b.turn, B1);
		b.after(1750);
		expect(b.events).toEqual([{ name: "plain", why: "no-capability", until: b.now + 30_000 }]);
		expect(b.to()).toEqual(SERVICE);
	});

	test("R21: a failed target is barred for 30 s, doubling to 300 s", () => {
		const cache = new ServiceCache();
		let now = START;
		for (const period of [30, 60, 120, 240, 300, 300]) {
			cache.bar(B1, now, 30_000, 300_000);
			expect(cache.isBarred(B1, now + period * 1000 - 1)).toBe(true);
			expect(cache.isBarred(B1, now + period * 1000)).toBe(false);
			now += period * 1000;
		}
		cache.bar(B1, now + 300_000, 30_000, 300_000);
		expect(cache.isBarred(B1, now + 330_000)).toBe(false);
	});

	test("a redirect to a barred target is answered by a failure report", () => {
		const cache = new ServiceCache();
		cache.bar(B1, START, 30_000, 300_000);
		const b = new Bench({}, cache);
		b.route();
		const { nonce } = b.query;
		b.receive(b.redirect(B1, FLAG.once, { nonce }));
		expect(b.query).toMatchObject({ type: "failure", nonce, port: B1.port });
		expect(b.state).toBe("failing");
	});

	test("R21: redirects that name two failing servers in turn, without hops, end at the gateway", () => {
		const b = new Bench();
		b.bind(B1, FLAG.leased, { lease: 60 });
		let effects = b.machine.refused(b.turn, B1);
		let failures = 0;
		for (;;) {
			const query = effects.find((one) => one.do === "query");
			if (query === undefined) break;
			expect(query.header.type).toBe("failure");
			failures++;
			expect(failures).toBeLessThan(10);
			const target = failures % 2 ? B2 : B1;
			effects = b.receive(b.redirect(target, FLAG.leased | FLAG.failure, { nonce: query.header.nonce, lease: 60 }));
			if (kinds(effects).includes("probe")) effects = b.machine.refused(b.turn, target);
		}
		expect(failures).toBe(5); // the first redirect was the one that bound
		expect(b.to()).toEqual(SERVICE);
		expect(b.after(250_000)).toEqual([]);
		expect(b.to()).toEqual(SERVICE);
	});
});
