// The state machine under random events: the rules that hold at every step.

import { expect, test } from "vitest";
import { COUNTERS, type Counters, type Effect, Machine, ServiceCache, type Turn } from "../../src/client/index.js";
import { type Endpoint, endpointText, FLAG, type Header, type HeaderType, parseAddress } from "../../src/wire/index.js";
import { random } from "../wire/random.js";
import { B1, B2, B3, CONTROL, prefixes, SERVICE, START } from "./bench.js";

test("R20 R21 R22: the rules hold over 120,000 random steps of flows that share a cache", () => {
	const all = Array.from({ length: 12 }, (_, seed) => wander(seed + 1, 10_000)).flat();
	const sum = (name: keyof Counters) => all.reduce((total, one) => total + one[name], 0);
	// Every transition was taken.
	for (const name of COUNTERS) expect(sum(name), name).toBeGreaterThan(2);
	expect(sum("toTarget")).toBeGreaterThan(2000);
});

function wander(seed: number, steps: number): Counters[] {
	const below = random(seed);
	const mode = seed % 4 === 0 ? "required" : "preferred";
	const cache = new ServiceCache();
	const targets = prefixes("198.51.100.0/24", "127.0.0.0/8");
	const flows = Array.from({ length: 1 + (seed % 3) }, () => new Machine(SERVICE, { mode, targets }, cache));
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
	// The state by which the rules are judged, apart from the machine's own.
	const barred = new Map<string, number>();
	const nonces = new Set<bigint>();
	const tickets: Header[] = [];
	const taken: number[][] = flows.map(() => []);
	const leases = new Map<string, number>();
	const allowed = (to: Endpoint) =>
		to.address.startsWith("198.51.100.") && !((barred.get(endpointText(to)) ?? 0) > now);
	let given = 0;
	let sent = 0;

	const judge = (i: number, effects: readonly Effect[]) => {
		for (const effect of effects) {
			if (effect.do === "query") {
				expect(effect.to).toEqual(CONTROL);
				nonces.add(effect.header.nonce);
			}
			if (effect.do === "probe" || effect.do === "bind") {
				const to = effect.do === "probe" ? effect.to : effect.target;
				if (!allowed(to)) expect.unreachable(`seed ${seed}: ${effect.do} to ${endpointText(to)}`);
			}
			if (effect.do === "notify" && effect.event.name === "failover") {
				barred.set(endpointText(effect.event.target), now + 30_000);
			}
			if (effect.do === "notify" && effect.event.name === "lease" && effect.event.change !== "ended")
				leases.set(endpointText(effect.event.target), effect.event.until);
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
			judge(i, route.effects);
			if (route.go === "send") {
				sent++;
				const { to } = route;
				if (to !== SERVICE) {
					if (!allowed(to)) expect.unreachable(`seed ${seed}: datagram to ${endpointText(to)}`);
					if (now >= (machine.until as number)) expect.unreachable(`seed ${seed}: lease used past its end`);
				} else if (mode === "required") expect.unreachable(`seed ${seed}: sent to the gateway`);
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
			const from = places.find((one) => endpointText(one) === endpointText(endpointOfHeader(ticket))) ?? any();
			const ack: Header = { ...ticket, type: "probe-ack", flags: 0, issued: Math.floor(now / 1000) };
			judge(i, machine.receive(turn, ack, below(5) ? from : any()));
		} else if (dice === 15) judge(i, machine.refused(turn, below(2) ? (machine.target ?? any()) : any()));
		else if (dice === 16) judge(i, machine.reply(turn, below(2) ? (machine.target ?? any()) : any()));
		else if (dice === 17) {
			const back = machine.replay(turn);
			if (back !== undefined && !allowed(back)) expect.unreachable(`seed ${seed}: replayed to ${endpointText(back)}`);
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
