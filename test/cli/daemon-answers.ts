// daemon-answers.ts - sample answers of a daemon, for tests of their text.

import type {
	Explanation,
	LoadStatus,
	ReasonCount,
	Session,
	Status,
	TargetStatus,
	UplinkStatus,
} from "../../src/api/types.js";

const MAC = "02:77:00:00:01:0b";

function target(backend: string, address: string, port: number, more: Partial<TargetStatus>): TargetStatus {
	return {
		backend,
		address,
		port,
		state: "active",
		health: "healthy",
		healthReason: "its load reports arrive",
		healthForMs: 60_000,
		share: 0,
		sessions: 0,
		nextHop: MAC,
		packets: 0,
		bytes: 0,
		...more,
	};
}

function reason(
	name: string,
	verdict: ReasonCount["verdict"],
	packets: number,
	bytes: number,
	text: string,
): ReasonCount {
	return { reason: name, verdict, packets, bytes, text };
}

function load(server: string, more: Partial<LoadStatus>): LoadStatus {
	const nothing = { udpSessions: 0, tcpSessions: 0, cpu: 0.05, link: null, uplinks: [] };
	const health = { health: "healthy", reason: "its load reports arrive", drains: false } as const;
	return { server, known: "fresh", ageMs: 400, load: 0, factor: 1, ...health, ...nothing, ...more };
}

function uplink(address: string, more: Partial<UplinkStatus>): UplinkStatus {
	const rates = { rxBps: 0, txBps: 0, rxPps: 0, txPps: 0, drops: 0, errors: 0 };
	return { addresses: [address], up: true, speedBps: 100e6, share: null, ...rates, ...more };
}

export function status(): Status {
	return {
		role: "gateway",
		name: "g1",
		version: "0.1.0",
		pid: 4711,
		engine: { mode: "user", capture: "pcap", why: "as configured", outlivesDaemon: false, adopted: false },
		database: null,
		config: "/etc/shunt/shunt.yaml",
		digest: "0123456789abcdef",
		ready: { ready: true, sinceMs: 131_000, waitingFor: [] },
		epoch: 3,
		uptimeMs: 133_000,
		in: { packets: 1_234_567, bytes: 987_654_321 },
		reasons: [
			reason("forwarded", "forward", 1_200_000, 980_000_000, "a packet of a known session, to the session's target"),
			reason(
				"forwarded_new",
				"forward",
				34_500,
				7_600_000,
				"the first packet of a session, to the target chosen for it",
			),
			reason("not_ip", "pass", 60, 3600, "neither IPv4 nor IPv6: ARP, LLDP and the like"),
			reason("no_next_hop", "drop", 7, 721, "the target's next hop has not answered ARP or neighbour discovery"),
		],
		conserved: true,
		sent: { packets: 1180, made: 2, told: 0 },
		lost: 0,
		services: [
			{
				name: "web",
				address: "203.0.113.80",
				port: 80,
				ports: "80",
				protocol: "tcp",
				idleMs: 60_000,
				sessions: 0,
				targetsOf: null,
				panics: [],
				targets: [target("b1", "10.77.11.2", 80, { share: 1 })],
			},
			{
				name: "dns",
				address: "203.0.113.53",
				port: 53,
				ports: "53",
				protocol: "udp",
				idleMs: 10_000,
				sessions: 1203,
				targetsOf: null,
				panics: [],
				targets: [
					target("b1", "10.77.11.2", 53, { share: 0.5, sessions: 700, packets: 900_000, bytes: 700_000_000 }),
					target("b2", "10.77.12.2", 53, { share: 0.5, sessions: 500, packets: 300_000, bytes: 280_000_000 }),
					target("b2", "10.77.12.2", 5353, { sessions: 3, packets: 34_500, bytes: 7_600_000 }),
					target("b3", "10.77.13.2", 53, { state: "draining", nextHop: null }),
					target("b3", "10.77.13.2", 5353, {}),
				],
			},
			{
				name: "dns",
				address: "2001:db8:53::53",
				port: 53,
				ports: "53",
				protocol: "udp",
				idleMs: 10_000,
				sessions: 2,
				targetsOf: null,
				panics: [],
				targets: [target("b3", "fd77:13::2", 53, { share: 1, nextHop: null, sessions: 2 })],
			},
		],
		load: load("g1", {}),
		loads: [
			load("b1", {
				load: 0.31,
				udpSessions: 2900,
				tcpSessions: 200,
				link: 0.32,
				uplinks: [
					uplink("10.77.11.2", { share: 0.91, rxBps: 32.1e6, txBps: 2000 }),
					uplink("10.77.21.2", { share: 0.09, speedBps: 10e6, rxBps: 3.1e6, drops: 1.2 }),
				],
			}),
			load("b2", { load: 0.95, udpSessions: 12_000, known: "fading", ageMs: 4100 }),
			load("b3", { load: 0.4, known: "unknown", ageMs: null }),
		],
		overrides: [],
		drift: [],
		links: [
			{
				interface: "eth0",
				up: true,
				speedBps: 10e9,
				rx: { packets: 1_300_000, bytes: 1e9, dropped: 0, errors: 0 },
				tx: { packets: 1_234_500, bytes: 1e9, dropped: 0, errors: 0 },
				queues: [],
			},
		],
		advice: [],
		mptcp: null,
		sessions: { live: 1205, capacity: 131_072, sweptAtMs: null },
		workers: [
			{
				interface: "eth0",
				capture: "pcap",
				in: { packets: 1_234_567, bytes: 987_654_321 },
				captureDrops: 12,
				error: null,
			},
		],
	};
}

export const SESSIONS: Session[] = [
	{
		service: "dns",
		protocol: "udp",
		source: "198.51.100.7",
		sourcePort: 4000,
		destination: "203.0.113.53",
		destinationPort: 53,
		backend: "b1",
		target: "10.77.11.2:53",
		idleMs: 4200,
		leftMs: 5800,
		proven: true,
	},
	{
		service: "dns",
		protocol: "udp",
		source: "2001:db8:100::7",
		sourcePort: 61_000,
		destination: "2001:db8:53::53",
		destinationPort: 53,
		backend: null,
		target: null,
		idleMs: 120,
		leftMs: 9880,
		proven: false,
	},
];

export function explanation(): Explanation {
	return {
		flow: {
			protocol: "udp",
			source: "198.51.100.7",
			sourcePort: 4000,
			destination: "203.0.113.53",
			destinationPort: 53,
		},
		verdict: "forward",
		reason: "forwarded",
		text: "a packet of a known session, to the session's target",
		service: { name: "dns", id: 1 },
		rule: "198.51.100.7/32",
		row: { index: 1017, rows: 2039 },
		weighed: null,
		session: SESSIONS[0] as Session,
		target: {
			backend: "b1",
			address: "10.77.11.2",
			port: 53,
			state: "active",
			terms: "leased 60 s; forward-and-indicate",
		},
		why: [
			"udp 203.0.113.53:53 is the service dns.",
			"It has a session with b1, idle for 4.2 s.",
			"It goes to b1 at 10.77.11.2:53 (active; leased 60 s; forward-and-indicate), and this sentence is so long that it has to be broken.",
		],
	};
}
