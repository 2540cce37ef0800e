// queries.test.ts - status, sessions, explain and reload, against a daemon with prepared answers.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Answers, type FlowQuery, type OverrideCommand, type SessionQuery, serve } from "../../src/api/server.js";
import type { SessionFilter } from "../../src/api/session-list.js";
import type { HealthAnswer, Session, Status, UnhealthyTarget } from "../../src/api/types.js";
import { statusLines } from "../../src/cli/status-text.js";
import { ShuntError } from "../../src/errors.js";
import { shunt } from "./cli.js";
import { explanation, SESSIONS, status } from "./daemon-answers.js";

let folder: string;
let daemon: { close(): Promise<void> };
let now: Status;
let received: {
	override?: OverrideCommand;
	sessions?: SessionQuery;
	count?: SessionFilter;
	expire?: SessionFilter;
	explain?: FlowQuery;
};
const HEALTH: HealthAnswer = {
	role: "gateway",
	name: "g1",
	advice: [],
	checks: [
		{
			backend: "b2",
			service: null,
			check: "load",
			subject: "10.77.12.2",
			health: "healthy",
			reason: "its load reports arrive",
			forMs: 60_000,
			last: null,
		},
		{
			backend: "b2",
			service: "dns udp/203.0.113.53/53",
			check: "dns",
			subject: "53",
			health: "unhealthy",
			reason: "no answer to 3 probes of dns since 12:01:07",
			forMs: 1500,
			last: { passed: false, detail: "no answer", ms: 500, agoMs: 300, sent: 1203, failed: 4 },
		},
	],
};
let truncated: boolean;
let listed: Session[];
let unhealthy: UnhealthyTarget[];
let refusal: ShuntError | undefined;

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), "shunt-queries-"));
	const answers: Answers = {
		status: () => now,
		health: () => HEALTH,
		sessions: async (query) => {
			received.sessions = query;
			return { sessions: listed, truncated, unhealthy };
		},
		countSessions: async (filter) => {
			received.count = filter;
			const at = { service: "dns", protocol: "udp", destination: "203.0.113.53", destinationPort: 53 } as const;
			return {
				total: 1203,
				groups: [
					{ ...at, backend: "b1", sessions: 1200 },
					{ ...at, backend: null, sessions: 3 },
				],
			};
		},
		expireSessions: async (filter) => {
			received.expire = filter;
			return { expired: filter.service === "none" ? 0 : 1203 };
		},
		explain: (query) => {
			received.explain = query;
			return explanation();
		},
		reload: async () => {
			if (refusal) throw refusal;
			return { epoch: 4, changed: ["backend b3", "service dns udp/203.0.113.53/53"] };
		},
		override: async (command) => {
			received.override = command;
			if (refusal) throw refusal;
			const dns = { service: "dns", protocol: "udp", address: "203.0.113.53", port: 53 } as const;
			const shares = [
				{ backend: "b1", before: 0.5, after: 1 },
				{ backend: "b2", before: 0.5, after: 0 },
			];
			const fate = command.deadlineMs === undefined ? "stay" : "stay until the deadline";
			return {
				applied: !command.plan,
				epoch: 4,
				redirections: [{ ...dns, rule: null, shares }],
				left: [],
				sessions: 500,
				fate,
			};
		},
	};
	daemon = await serve(join(folder, "g1.sock"), answers);
});
beforeEach(() => {
	now = status();
	received = {};
	truncated = false;
	listed = SESSIONS;
	unhealthy = [];
	refusal = undefined;
});
afterAll(async () => {
	await daemon.close();
	rmSync(folder, { recursive: true, force: true });
});

const ask = (...words: string[]) => shunt([...words, "--socket", join(folder, "g1.sock")]);

describe("health", () => {
	test("R31: every check, its health, the last probe and the reason; --json has the answer", async () => {
		expect((await ask("health")).stdout).toMatchInlineSnapshot(`
			"backend  service or address       check  health       for  last                          reason
			b2       10.77.12.2               load   healthy      1 m                                its load reports arrive
			b2       dns udp/203.0.113.53/53  dns    unhealthy  1.5 s  no answer, 4 of 1,203 failed  no answer to 3 probes of dns since 12:01:07
			"
		`);
		expect(JSON.parse((await ask("health", "--json")).stdout)).toEqual(HEALTH);
	});
});

describe("status", () => {
	test("services and targets, every reason, drops and losses, in 80 columns", async () => {
		const { status, stdout, stderr } = await ask("status");
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		expect(stdout).toMatchInlineSnapshot(`
			"gateway g1  up 2 m 13 s, tables of epoch 3, process 4711, shunt 0.1.0
			engine    user space, pcap capture (as configured)
			config    /etc/shunt/shunt.yaml
			packets   1,234,567 in, 988 MB; every packet is accounted for
			dropped   7 by reason, 12 dropped before capture
			sessions  1,205 of 131,072 (0.9 %), not counted yet

			service and targets               traffic    share  sessions    packets    bytes
			dns udp 203.0.113.53:53                                1,203  1,234,500   988 MB
			  b1 10.77.11.2:53                █████▉      50 %       700    900,000   700 MB
			  b2 10.77.12.2:53                ██          50 %       500    300,000   280 MB
			  b2 10.77.12.2:5353              ▎        by rule         3     34,500  7.60 MB
			dns udp [2001:db8:53::53]:53                               2          0      0 B
			  b3 [fd77:13::2]:53 no next hop             100 %         2          0      0 B
			1 other service without traffic (--all): web

			load of                    full     UDP  TCP    CPU  link  reported
			b1            ██▌          31 %   2,900  200  5.0 %  32 %  400 ms ago
			  10.77.11.2  ███████▎     91 %                      32 %  100 Mbit/s
			  10.77.21.2  ▊           9.0 %                      31 %  10.0 Mbit/s, 2/s lost
			b2            ███████▋     95 %  12,000    0  5.0 %        4.1 s ago
			b3                      unknown

			reason         verdict    packets    bytes
			forwarded      forward  1,200,000   980 MB  a packet of a known session, to the…
			forwarded_new  forward     34,500  7.60 MB  the first packet of a session, to t…
			not_ip         pass            60  3.60 kB  neither IPv4 nor IPv6: ARP, LLDP an…
			no_next_hop    drop             7    721 B  the target's next hop has not answe…
			"
		`);
		for (const line of stdout.split("\n")) expect([...line].length, line).toBeLessThanOrEqual(80);
	});

	test("--all includes services and targets without traffic", async () => {
		const { stdout } = await ask("status", "--all");
		expect(stdout).toMatch(/^web tcp 203\.0\.113\.80:80 /m);
		expect(stdout).toMatch(/^ {2}b3 10\.77\.13\.2:5353 +by rule +0 +0 +0 B$/m);
		expect(stdout).toMatch(/^ {2}b3 10\.77\.13\.2:53 no next hop +draining /m);
		expect(stdout).not.toContain("without traffic");
	});

	test("a service without traffic is shown if its backend has no next hop", async () => {
		const [web, ...others] = now.services;
		const targets = (web?.targets ?? []).map((target) => ({ ...target, nextHop: null }));
		now = { ...now, services: web ? [{ ...web, targets }, ...others] : [] };
		expect((await ask("status")).stdout).toMatch(/^ {2}b1 10\.77\.11\.2:80 no next hop +100 %/m);
	});

	test("R4: packets that the gateway answered itself have a line of their own", async () => {
		expect((await ask("status")).stdout).not.toMatch(/^answered /m);
		const of = (verdict: "indicate" | "return" | "control", packets: number) => [
			{ reason: `one_${verdict}`, verdict, text: "", packets, bytes: 0 },
			{ reason: `two_${verdict}`, verdict, text: "", packets: 1, bytes: 0 },
		];
		now = { ...now, reasons: [...now.reasons, ...of("indicate", 1234), ...of("return", 2), ...of("control", 16)] };
		const { stdout } = await ask("status");
		expect(stdout).toMatch(/^answered {2}1,235 indicated, 3 returned, 17 control$/m);
	});

	test("a backend shows its sessions, not the gateways' tables", async () => {
		now = { ...now, role: "backend", name: "b1", reasons: [], in: { packets: 0, bytes: 0 }, loads: [] };
		const { stdout } = await ask("status");
		expect(stdout).toMatch(/^backend b1 /);
		expect(stdout).toMatch(/^dns udp 203\.0\.113\.53:53 +1,203$/m);
		expect(stdout).not.toMatch(/share|10\.77/);
		expect(stdout).toMatch(/^answers {3}1,180 packets to clients; 2 of them began a session$/m);
		expect(stdout).toMatch(/^load {6}0 % of full, 0 UDP sessions, 0 TCP sessions, processors 5\.0 %$/m);
		expect(stdout).toContain("no packet has come yet");
	});

	test("R12: a link that loses packets or is down is shown, with its worst queue", async () => {
		expect((await ask("status")).stdout).not.toMatch(/^link /m);
		const [link] = now.links;
		const queue = (n: number, dropped: number) => {
			const count = { packets: 1, bytes: 60, dropped };
			return { queue: n, rx: count, tx: { ...count, dropped: null } };
		};
		const rx = { ...link!.rx, dropped: 1203, errors: 2 };
		now = {
			...now,
			links: [
				{ ...link!, rx, queues: [queue(0, 3), queue(1, 1200)] },
				{ ...link!, interface: "eth1", up: false },
			],
		};
		const { stdout } = await ask("status");
		expect(stdout).toContain(
			"link eth0: 1,203 received and 0 transmitted packets dropped, most in queue 1; 2 errors\nlink eth1 is down\n",
		);
	});

	test("R31: an unhealthy backend is shown with its reason, and a service in which health is not believed", async () => {
		expect((await ask("status")).stdout).not.toContain("unhealthy");
		const reason = "no load report since 12:01:07, 3 polls unanswered";
		const [web, dns] = now.services;
		const targets = dns!.targets.map((one) =>
			one.backend === "b2" ? ({ ...one, health: "unhealthy", state: "inactive", share: 0 } as const) : one,
		);
		now = {
			...now,
			loads: now.loads.map((one) => ({ ...one, ...(one.server === "b2" ? { health: "unhealthy", reason } : {}) })),
			services: [
				{ ...web!, panics: [""] },
				{ ...dns!, targets, panics: ["198.51.100.0/24"] },
			],
		};
		const { stdout } = await ask("status");
		expect(stdout).toMatch(/^ {2}b2 10\.77\.12\.2:53 .* unhealthy /m);
		expect(stdout).toContain(`b2 is unhealthy: ${reason}; its sessions move\n`);
		expect(stdout).toContain("web tcp 203.0.113.80:80: too few backends are healthy; all of them are used\n");
		expect(stdout).toContain("dns udp 203.0.113.53:53 from 198.51.100.0/24: too few backends are healthy");
	});

	test("a worker that has ended, packets in flight, and the absence of services are shown", async () => {
		const [worker] = now.workers;
		now = {
			...now,
			conserved: false,
			services: [],
			workers: worker ? [{ ...worker, error: "the interface is gone" }] : [],
		};
		const { stdout } = await ask("status");
		expect(stdout).toContain("worker 0 on eth0 has ended: the interface is gone");
		expect(stdout).toContain("some are in flight");
		expect(stdout).toContain("no services");
	});

	test("--json is the daemon's answer", async () => {
		expect(JSON.parse((await ask("status", "--json")).stdout)).toEqual(now);
	});

	test("with a previous status there are rates; colours carry no meaning of their own", () => {
		const later = { ...now, in: { packets: now.in.packets + 30_000, bytes: now.in.bytes + 24_000_000 } };
		const view = { width: 80, all: false, now: 0, before: { status: now, ms: 2000 } };
		const lines = statusLines(later, { ...view, paint: (_, text) => text });
		expect(lines).toContain("packets   1,264,567 in, 1.01 GB, now 15.0 k/s, 12.0 MB/s; every packet is accounted for");
		const painted = statusLines(later, { ...view, paint: (_, text) => `\x1b[1m${text}\x1b[22m` });
		// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
		expect(painted.map((line) => line.replace(/\x1b\[\d+m/g, ""))).toEqual(lines);
	});
});

describe("sessions", () => {
	test("a line for each session, the most recently active first", async () => {
		const { status, stdout } = await ask("sessions");
		expect(status).toBe(0);
		expect(stdout).toMatchInlineSnapshot(`
			"service  on   source                   backend    at               idle   left  packets
			dns      udp  [2001:db8:100::7]:61000  this host                 120 ms  9.9 s      one
			dns      udp  198.51.100.7:4000        b1         10.77.11.2:53   4.2 s  5.8 s  several
			2 sessions
			"
		`);
	});

	test("R31: sessions whose target is unhealthy are marked, with the reason once; --unhealthy selects them", async () => {
		const on = { ...SESSIONS[0]!, backend: "b2", target: "10.77.12.2:53", health: "unhealthy" as const };
		listed = [{ ...SESSIONS[0]!, health: "healthy" }, on, { ...on, sourcePort: 4001, idleMs: 4300 }];
		const reason = "no load report since 12:01:07, 3 polls unanswered";
		const of = { service: "dns", protocol: "udp", backend: "b2", target: "10.77.12.2:53", forMs: 1500 } as const;
		unhealthy = [{ ...of, reason, stays: false }];
		const { stdout } = await ask("sessions", "--unhealthy");
		expect(received.sessions).toEqual({ unhealthy: true, limit: 100 });
		expect(stdout).toMatchInlineSnapshot(`
			"service  on   source             backend  at              idle   left  packets  health
			dns      udp  198.51.100.7:4000  b1       10.77.11.2:53  4.2 s  5.8 s  several
			dns      udp  198.51.100.7:4000  b2       10.77.12.2:53  4.2 s  5.8 s  several  unhealthy
			dns      udp  198.51.100.7:4001  b2       10.77.12.2:53  4.3 s  5.8 s  several  unhealthy
			3 sessions
			dns udp at b2 10.77.12.2:53 is unhealthy: no load report since 12:01:07, 3 polls unanswered; each of its sessions moves at its next packet
			"
		`);
		unhealthy = [{ ...of, reason: "its daemon does not run", stays: true }];
		expect((await ask("sessions")).stdout).toContain(
			"dns udp at b2 10.77.12.2:53 is unhealthy: its daemon does not run; its sessions stay\n",
		);
		expect(JSON.parse((await ask("sessions", "--json")).stdout)).toEqual({ sessions: listed, truncated, unhealthy });
	});

	test("filters are passed to the daemon; a list cut at the limit says so", async () => {
		truncated = true;
		const { stdout } = await ask(
			"sessions",
			"--service",
			"dns",
			"--backend",
			"b1",
			"--source",
			"198.51.100.7",
			"--limit",
			"2",
		);
		expect(received.sessions).toEqual({ service: "dns", backend: "b1", source: "198.51.100.7", limit: 2 });
		expect(stdout).toContain("2 sessions shown of more; raise --limit to see them\n");
	});

	test("--idle is passed on in milliseconds, and must have a unit", async () => {
		await ask("sessions", "--idle", "1.5s");
		expect(received.sessions).toEqual({ idleMs: 1500, limit: 100 });
		const { status, stderr } = await ask("sessions", "--idle", "5");
		expect(status).toBe(2);
		expect(stderr).toContain("must be a duration with its unit, such as 500ms, 30s or 2m");
	});

	test("R9: --count counts sessions by service and backend", async () => {
		const { stdout } = await ask("sessions", "--count", "--service", "dns");
		expect(received.count).toEqual({ service: "dns" });
		expect(stdout).toMatchInlineSnapshot(`
			"service  on   at               backend    sessions
			dns      udp  203.0.113.53:53  b1            1,200
			dns      udp  203.0.113.53:53  this host         3
			1,203 sessions
			"
		`);
		expect(JSON.parse((await ask("sessions", "--count", "--json")).stdout)).toMatchObject({ total: 1203 });
	});

	test("--expire expires the sessions that match, and all of them with --all only", async () => {
		expect((await ask("sessions", "--expire", "--backend", "b1", "--idle", "5s")).stdout).toBe(
			"1,203 sessions expired; each one's next packet is placed anew\n",
		);
		expect(received.expire).toEqual({ backend: "b1", idleMs: 5000 });
		expect((await ask("sessions", "--expire", "--service", "none")).stdout).toBe("no session matched\n");
		received = {};
		const { status, stderr } = await ask("sessions", "--expire");
		expect({ status, received }).toEqual({ status: 2, received: {} });
		expect(stderr).toContain(
			"--expire needs a selection: --service, --backend, --source, --idle or --unhealthy; or --all for every session.",
		);
		await ask("sessions", "--expire", "--all");
		expect(received.expire).toEqual({});
		expect((await ask("sessions", "--expire", "--count", "--all")).status).toBe(2);
	});

	test("--json is the daemon's answer", async () => {
		expect(JSON.parse((await ask("sessions", "--json")).stdout)).toEqual({
			sessions: SESSIONS,
			truncated: false,
			unhealthy: [],
		});
	});
});

describe("explain", () => {
	test("the verdict, the look-ups that lead to it, and why", async () => {
		const { status, stdout } = await ask("explain", "udp", "198.51.100.7:4000", "203.0.113.53:53");
		expect(status).toBe(0);
		expect(stdout).toMatchInlineSnapshot(`
			"udp 198.51.100.7:4000 → 203.0.113.53:53

			  verdict  forward (forwarded)
			  service  dns
			  rule     198.51.100.7/32
			  row      1,017 of 2,039
			  session  with b1, idle 4.2 s, 5.8 s left, several packets
			  target   b1 at 10.77.11.2:53 (active; leased 60 s; forward-and-indicate)

			  1. udp 203.0.113.53:53 is the service dns.
			  2. It has a session with b1, idle for 4.2 s.
			  3. It goes to b1 at 10.77.11.2:53 (active; leased 60 s; forward-and-indicate),
			     and this sentence is so long that it has to be broken.

			  forwarded: a packet of a known session, to the session's target
			"
		`);
	});

	test("IPv6 addresses in brackets, in any spelling", async () => {
		const flow = ["tcp", "[2001:DB8:100:0::7]:4000", "[2001:db8:53::53]:53"];
		expect(JSON.parse((await ask("explain", ...flow, "--json")).stdout)).toEqual(explanation());
		expect(received.explain).toEqual({
			protocol: "tcp",
			source: "2001:db8:100::7",
			sourcePort: 4000,
			destination: "2001:db8:53::53",
			destinationPort: 53,
		});
	});
});

describe("reload", () => {
	test("prints what has changed", async () => {
		const { stdout } = await ask("reload");
		expect(stdout).toBe("tables of epoch 4 are in force\n  backend b3\n  service dns udp/203.0.113.53/53\n");
		expect(JSON.parse((await ask("reload", "--json")).stdout)).toHaveProperty("epoch", 4);
	});

	test("an invalid configuration: the problem's place, and exit status 2", async () => {
		refusal = new ShuntError("SHUNT_CONFIG_INVALID", { problems: "shunt.yaml:3:1: services.dns.port is 70000." });
		const { status, stderr } = await ask("reload");
		expect(status).toBe(2);
		expect(stderr).toContain("shunt: shunt.yaml:3:1: services.dns.port is 70000.\n");
	});
});

describe("drain, undrain and weight", () => {
	const socket = () => ["--socket", join(folder, "g1.sock")];

	test("R31: a plan says what it would move, and asks for nothing else", async () => {
		const { stdout, status: code } = await shunt(["drain", "b2", "--deadline", "10m", "--plan", ...socket()]);
		expect(code).toBe(0);
		expect(received.override).toMatchObject({
			kind: "drain",
			backend: "b2",
			deadlineMs: 600_000,
			plan: true,
			force: false,
		});
		expect(stdout).toBe(
			[
				"b2 drains within 10 m: planned, nothing changed",
				"  500 sessions of this host with it stay until the deadline",
				"  new sessions of              before     after",
				"  dns udp 203.0.113.53:53  b1    50 %  →  100 %",
				"                           b2    50 %  →    0 %",
				"",
			].join("\n"),
		);
	});

	test("R31: undrain and weight, with --json as the daemon has answered", async () => {
		expect((await shunt(["undrain", "b2", ...socket()])).stdout).toMatch(
			/^b2 drains no more; tables of epoch 4 are in force/,
		);
		const { stdout } = await shunt(["weight", "web", "b2", "0", "--json", ...socket()]);
		expect(JSON.parse(stdout)).toMatchObject({ applied: true, epoch: 4, sessions: 500 });
		expect(received.override).toMatchObject({ kind: "weight", service: "web", backend: "b2", weight: 0, plan: false });
		await shunt(["weight", "web", "b2", "--reset", ...socket()]);
		expect(received.override).toMatchObject({ kind: "weight", weight: undefined });
	});

	test("a weight needs a value from 0 to 1000 or --reset, and a refusal of the daemon keeps its sentence", async () => {
		for (const value of [[], ["1001"], ["0", "--reset"]]) {
			const { status: code, stderr } = await shunt(["weight", "web", "b2", ...value, ...socket()]);
			expect(code, stderr).toBe(2);
		}
		refusal = new ShuntError("SHUNT_LAST_BACKEND", { services: "web tcp 203.0.113.80:80", what: "drain b1" });
		const { status: code, stderr } = await shunt(["drain", "b1", ...socket()]);
		expect(code).toBe(1);
		expect(stderr).toMatch(/drain b1 leaves no active backend for web tcp 203.0.113.80:80\./);
	});

	test("R31: status shows what differs from the file", () => {
		const since = new Date(2026, 5, 1, 12, 1, 7).getTime();
		const common = { since, until: null, by: "command", file: "active", sessions: 12 } as const;
		now.overrides = [
			{ ...common, backend: "b2", service: null, state: "draining", weight: null, until: since + 600_000 },
			{ ...common, backend: "b3", service: null, state: "inactive", weight: null, by: "report", sessions: 1 },
			{ ...common, backend: "b1", service: "web", state: null, weight: 0, file: "1, 2 by rule" },
		];
		const paint = (_: unknown, text: string) => text;
		const lines = statusLines(now, { width: 200, paint, all: false, now: since + 1000, before: undefined });
		expect(lines).toEqual(
			expect.arrayContaining([
				"b2 drains by command since 12:01:07 until 12:11:07, 12 sessions left; the file says active",
				"b3 is out of service by its own report since 12:01:07, its deadline is over, 1 session left; the file says active",
				"b1 has weight 0 in web by command since 12:01:07; the file says 1, 2 by rule",
			]),
		);
	});
});
