// server-programs.test.ts - R32: unmodified server programs behind a gateway: Node, C, iperf3, SIP with RTP, and TURN. The
// clients of the first three connect their sockets: they receive datagrams from the service's address and port only.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Cluster, ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const [seven6, eight6] = addresses.client.ipv6;
const PROGRAMS = "203.0.113.70";
const PROGRAMS6 = "2001:db8:53::70";
const MOVED = "203.0.113.71";
const MOVED6 = "2001:db8:53::71";
/** examples/lab.yaml's: for .7 it is b1. */
const IPERF = "203.0.113.52";
const IPERF6 = "2001:db8:53::52";

const SIP = "203.0.113.73";
const TURN = "203.0.113.74";
const TURN_PEER = "198.51.100.10";

const CONFIG = labConfig([
	"\nservices:\n",
	`
services:
  programs: { address: [${PROGRAMS}, "${PROGRAMS6}"], port: 7100-7119, protocol: udp, backends: [b1] }
  moved: { address: [${MOVED}, "${MOVED6}"], port: 7600, protocol: udp, backends: [{ name: b1, port: 7107 }] }
  sip: { address: ${SIP}, port: [5060, 10000-10099], protocol: udp, spread: source, backends: [b1, b2] }
  turn: { address: ${TURN}, port: 3478, protocol: udp, backends: [b1, b2] }
`,
]);

const NODE = (type: string, address: string, port: number) => `
	const socket = require("node:dgram").createSocket({ type: "${type}" });
	socket.on("message", (text, { port, address }) => socket.send(text, port, address));
	socket.bind(${port}, "${address}", () => console.log("ready"));`;
/** For each "source target port": sends ten datagrams by one connected socket, each after the echo of the one before. Says
 * how many echoes came. */
const CLIENT = `
import socket, sys
for one in sys.argv[1:]:
    source, target, port = one.split()
    s = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0)); s.connect((target, int(port))); s.settimeout(5)
    heard = 0
    for i in range(10):
        s.send(b"%d" % i)
        try: heard += s.recv(100) == b"%d" % i
        except OSError: pass
    print(heard)
`;

/** By the port that it has on b1. */
const SERVERS = [
	{ name: "Node, udp4 on 0.0.0.0", port: 7100, families: [4] },
	{ name: "Node, udp6 on [::], dual-stack", port: 7101, families: [4, 6] },
	{ name: "C, recvfrom and sendto on 0.0.0.0", port: 7102, families: [4] },
	{ name: "C, recvfrom and sendto on [::], dual-stack", port: 7103, families: [4, 6] },
	{ name: "C, connects the socket that received, 0.0.0.0", port: 7104, families: [4] },
	{ name: "C, connects the socket that received, [::], dual-stack", port: 7105, families: [4, 6] },
	{ name: "C, a connected socket for each client, 0.0.0.0", port: 7106, families: [4] },
	{ name: "C, a connected socket for each client, [::], dual-stack", port: 7107, families: [4, 6] },
] as const;

describe.skipIf(!isRoot).each(ENGINES)("unmodified server programs, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine, config: CONFIG, members: ["b1", "b2", "gateway"], services: false }, (running) => {
		({ lab, cluster } = running);
	});

	beforeAll(async () => {
		const servers = join(lab.directory, "servers");
		execFileSync("gcc", ["-O1", "-o", servers, join(import.meta.dirname, "servers.c")]);
		const node = (type: string, address: string, port: number) =>
			lab.start("b1", [process.execPath, "-e", NODE(type, address, port)]);
		const c = (family: string, port: number, kind: string) => lab.start("b1", [servers, family, `${port}`, kind]);
		const started = [node("udp4", "0.0.0.0", 7100), node("udp6", "::", 7101)];
		for (const [i, kind] of ["sendto", "connect", "each"].entries())
			started.push(c("4", 7102 + 2 * i, kind), c("6", 7103 + 2 * i, kind));
		await Promise.all(started.map((one) => one.saysOnStdout(/ready/)));
	});

	const heard = async (...flows: string[]) => {
		const heard = await lab.text("client", ["python3", "-c", CLIENT, ...flows], { timeoutMs: 30_000 });
		return heard.split("\n").map(Number);
	};
	const udpPortsOf = async (host: "b1" | "b2" | "client") => lab.text(host, ["ss", "-ulnH"]);

	test("R32: Node and C servers, dual-stack and with connected sockets, answer every datagram of two clients from the service", async () => {
		const flows = SERVERS.flatMap(({ name, port, families }) =>
			families.flatMap((family) =>
				(family === 4 ? [seven, eight] : [seven6, eight6]).map((source) => ({
					name: `${name}, from ${source}`,
					flow: `${source} ${family === 4 ? PROGRAMS : PROGRAMS6} ${port}`,
				})),
			),
		);
		const counts = await heard(...flows.map(({ flow }) => flow));
		const answered = flows.map(({ name }, i) => `${name}: ${counts[i]}`);
		expect(answered).toEqual(flows.map(({ name }) => `${name}: 10`));
	});

	test("R32: connected sockets behind another port of the service", async () => {
		expect(await heard(`${eight} ${MOVED} 7600`, `${eight6} ${MOVED6} 7600`)).toEqual([10, 10]);
	});

	test("R32: iperf3 --udp with its defaults at server and client, IPv4 and IPv6, both ways", async () => {
		const server = lab.start("b1", ["iperf3", "--server", "--forceflush"]);
		await server.saysOnStdout(/listening/);
		for (const [source, target] of [
			[seven, IPERF],
			[seven6, IPERF6],
		] as const)
			for (const way of [[], ["--reverse"]]) {
				// biome-ignore format: one option per line would hide the command
				const report = JSON.parse(await lab.text("client", [
					"iperf3", "--client", target, "--bind", source, "--udp", "--time", "1", "--json", ...way,
				], { timeoutMs: 20_000 }));
				expect(report.end.sum.packets).toBeGreaterThan(50);
				expect(report.end.sum.lost_packets).toBeLessThan(report.end.sum.packets / 10);
			}
		await server.stop();
	});

	test("R3 R32: SIP with RTP: sipp's calls succeed, their RTP reaches the backend of the call, and its echo comes from the service", async () => {
		for (const host of ["b1", "b2"] as const) {
			// biome-ignore format: one option per line would hide the command
			lab.start(host, [
				"sipp", "-sn", "uas", "-i", SIP, "-p", "5060", "-mi", SIP, "-mp", "10000", "-rtp_echo", "-nostdin",
			]);
			await until("the SIP server to listen", async () => (await udpPortsOf(host)).includes(`${SIP}:5060`), 20_000);
		}
		// sipp's own scenario with RTP, with pauses of less than its eight seconds.
		const scenario = (await lab.run("client", ["sipp", "-sd", "uac_pcap"], { mayFail: true })).stdout;
		const file = join(lab.directory, "uac.xml");
		writeFileSync(
			file,
			scenario.replaceAll("pcap/", "/usr/share/sip-tester/").replace(/(?<=pause milliseconds=")\d+/g, "700"),
		);
		const rtp = await lab.capture("client", "eth0", `udp and not port 5060 and host ${SIP}`);
		const callers = [...addresses.client.ipv4];
		const calls = callers.map((source) =>
			// biome-ignore format: one option per line would hide the command
			lab.run("client", [
				"sipp", "-sf", file, "-i", source, "-mi", source, "-p", "5061", "-mp", "20000", "-m", "1", "-nostdin", `${SIP}:5060`,
			], { timeoutMs: 30_000, mayFail: true }),
		);
		for (const { status, stdout } of await Promise.all(calls)) expect(status, stdout).toBe(0);
		await until("the echo of all RTP packets", async () => {
			const flows = (await rtp.print()).match(/(?<= IP )\S+ > [^:\s]+(?=:)/g) ?? [];
			return callers.every((source) => {
				const sent = flows.filter((flow) => flow === `${source}.20000 > ${SIP}.10000`).length;
				const echoed = flows.filter((flow) => flow === `${SIP}.10000 > ${source}.20000`).length;
				return sent > 20 && echoed === sent;
			});
		});
		await rtp.stop();
		const { sessions } = await cluster.api("gateway").sessions({ service: "sip" });
		const backendsOf = (source: string) =>
			new Set(sessions.filter((one) => one.source === source).map(({ backend }) => backend));
		expect(callers.map((source) => backendsOf(source).size)).toEqual(callers.map(() => 1));
		expect(new Set(callers.flatMap((source) => [...backendsOf(source)]))).toEqual(new Set(["b1", "b2"]));
	});

	test("R32: TURN: of relayed datagrams none is lost, to a peer and between clients of two relays", async () => {
		for (const host of ["b1", "b2"] as const) {
			// biome-ignore format: one option per line would hide the command
			lab.start(host, [
				"turnserver", "-n", "--listening-ip", TURN, "--relay-ip", addresses[host].ipv4, "--no-auth", "--no-tls",
				"--no-dtls", "--no-cli", "--log-file", "stdout", "--pidfile", join(lab.directory, `${host}.turn`),
			]);
			await until("the relay to listen", async () => (await udpPortsOf(host)).includes(`${TURN}:3478`), 20_000);
		}
		lab.start("client", ["turnutils_peer", "-L", TURN_PEER, "-p", "3480"]);
		await until("the peer to listen", async () => (await udpPortsOf("client")).includes(":3480"), 20_000);
		// Messages of 8 clients to a peer that echoes them, and of 4 clients to 4 others.
		const runs = [["-e", TURN_PEER, "-r", "3480"], ["-y"]].map((to) =>
			// biome-ignore format: one option per line would hide the command
			lab.text("client", [
				"turnutils_uclient", "-c", "-L", seven, "-m", "8", "-n", "20", ...to, TURN,
			], { timeoutMs: 30_000 }),
		);
		for (const report of await Promise.all(runs)) {
			expect(report).toContain("tot_send_msgs=160, tot_recv_msgs=160");
			expect(report).toContain("Total lost packets 0 (0.000000%)");
		}
		const { sessions } = await cluster.api("gateway").sessions({ service: "turn" });
		expect(new Set(sessions.map(({ backend }) => backend))).toEqual(new Set(["b1", "b2"]));
	});
});
