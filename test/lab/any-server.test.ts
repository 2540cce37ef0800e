// any-server.test.ts - R32: unmodified UDP servers on the wildcard address behind a gateway. The clients' sockets are
// connected: they receive datagrams from the service's address and port only.

import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, ENGINES, labConfig, traces, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const [seven6, eight6, nine6, ten6] = addresses.client.ipv6;
const ECHO = "203.0.113.60";
const ECHO6 = "2001:db8:53::60";
/** At the same port of the backend as ECHO. */
const TWIN = "203.0.113.61";
const MOVED = "203.0.113.62";
const MOVED6 = "2001:db8:53::62";
const DNS = "203.0.113.63";
const DNS6 = "2001:db8:53::63";
const CACHE = "203.0.113.64";
/** Of a range of ports, that of ECHO among them. */
const SEVERAL = "203.0.113.65";
const TFTP = "203.0.113.66";
const PREFIX = "203.0.113.96/28";

const CONFIG = labConfig([
	"\nservices:\n",
	`
services:
  echo: { address: [${ECHO}, "${ECHO6}"], port: 7000, protocol: [udp, tcp], idle: 10s, backends: [b1] }
  twin: { address: ${TWIN}, port: 7000, protocol: udp, idle: 10s, backends: [b1] }
  moved:
    address: [${MOVED}, "${MOVED6}"]
    port: 7500
    protocol: udp
    idle: 10s
    backends: [{ name: b1, port: 7000 }]
  nsd:
    address: [${DNS}, "${DNS6}"]
    port: 7053
    protocol: udp
    redirect: { clients: true, term: leased, lease: 60s }
    backends: [b1]
  several: { address: ${SEVERAL}, port: 6990-7010, protocol: udp, backends: [b1] }
  prefix: { address: ${PREFIX}, port: 7000, protocol: [udp, tcp], idle: 10s, backends: [b1] }
  tftp: { address: ${TFTP}, port: any, protocol: udp, backends: [b1] }
  memcached: { address: ${CACHE}, port: 11211, protocol: udp, backends: [b1] }
`,
]);

/** Echoes to every client, as most programs do it: recvfrom and sendto. "push" is answered 30 times, every 100 ms. */
const SERVER = `
import socket, sys, threading, time
family, address = (socket.AF_INET6, "::") if sys.argv[1] == "6" else (socket.AF_INET, "0.0.0.0")
s = socket.socket(family, socket.SOCK_DGRAM)
if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind((address, 7000))
def push(peer):
    for i in range(30):
        s.sendto(b"news", peer)
        time.sleep(0.1)
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65535)
    if data == b"push": threading.Thread(target=push, args=(peer,)).start()
    else: s.sendto(data, peer)
`;
/** Sends by connected sockets to each target in turn, all of them from one port: how many echoes came. */
const CLIENT = `
import socket, sys
source, size, wait, *targets = sys.argv[1:]
family = socket.AF_INET6 if ":" in source else socket.AF_INET
probe = socket.socket(family, socket.SOCK_DGRAM); probe.bind((source, 0)); own = probe.getsockname(); probe.close()
heard = 0
for target in targets:
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind(own)
    host, port = target.rsplit("#", 1)
    s.connect((host, int(port)))
    s.settimeout(float(wait))
    s.send(b"x" * int(size))
    try: heard += len(s.recv(65535)) == int(size)
    except OSError: pass
    s.close()
print(heard)
`;
/** Asks for a push from its first socket, and counts the datagrams that arrive within 5 s. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0)); s.connect((sys.argv[2], 7000)); s.settimeout(3); s.send(b"push")
heard = 0
try:
    while heard < 30:
        s.recv(100); heard += 1
        if heard == 3: print("listening", flush=True)
except OSError: pass
print("heard", heard, flush=True)
`;
const TCP_SERVER = `
import socket
s = socket.create_server(("0.0.0.0", 7000)); print("ready", flush=True)
while True:
    c, peer = s.accept(); c.sendall(c.recv(100)); c.close()
`;
const TCP_CLIENT = `
import socket, sys
c = socket.create_connection((sys.argv[1], 7000), 2, ("${eight}", 0)); c.sendall(b"hello"); print(c.recv(100).decode())
`;
/** memcached's frame header, then "version". */
const MEMCACHED = `
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("${eight}", 0)); s.connect(("${CACHE}", 11211)); s.settimeout(2)
s.send(struct.pack("!HHHH", 7, 0, 1, 0) + b"version\\r\\n"); print(s.recv(1500)[8:].decode())
`;
const ZONE = `lab. 60 IN SOA ns.lab. root.lab. 1 3600 600 86400 60
lab. 60 IN NS ns.lab.
ns.lab. 60 IN A 10.77.11.2
whoami.lab. 60 IN TXT "b1"
`;

describe.skipIf(!isRoot).each(ENGINES)("unmodified servers on the wildcard address, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	/** What the TFTP server serves. */
	const files = mkdtempSync(join(tmpdir(), "shunt-tftp-"));

	afterAll(() => rmSync(files, { recursive: true, force: true }));
	useCluster({ engine, config: CONFIG, members: ["b1", "gateway"] }, (running) => {
		({ lab, cluster } = running);
	});

	beforeAll(async () => {
		const python = (program: string, ...args: string[]) => lab.start("b1", ["python3", "-c", program, ...args]);
		const zone = join(lab.directory, "lab.zone");
		const nsd = join(lab.directory, "nsd.conf");
		writeFileSync(zone, ZONE);
		writeFileSync(
			nsd,
			`server:
  port: 7053
  username: ""
  zonesdir: "${lab.directory}"
  pidfile: ""
  database: ""
  zonelistfile: "${lab.directory}/zone.list"
  xfrdfile: "${lab.directory}/xfrd.state"
  xfrdir: "${lab.directory}"
  minimal-responses: yes
remote-control:
  control-enable: no
zone:
  name: lab
  zonefile: "${zone}"
`,
		);
		lab.start("b1", ["nsd", "-d", "-c", nsd]);
		chmodSync(files, 0o755);
		lab.start("b1", [
			"in.tftpd",
			"--foreground",
			"--listen",
			"--address",
			`${TFTP}:69`,
			"--user",
			"root",
			"--secure",
			files,
		]);
		lab.start("b1", ["memcached", "-u", "root", "-U", "11211"]);
		const servers = [python(SERVER, "4"), python(SERVER, "6"), python(TCP_SERVER)];
		await Promise.all(servers.map((one) => one.saysOnStdout(/ready/)));
		await until("nsd to answer", async () => (await dig(eight, addresses.b1.ipv4)) === '"b1"');
	});

	const client = async (source: string, size: number, targets: string[], waitSeconds = 1) =>
		Number(await lab.text("client", ["python3", "-c", CLIENT, source, `${size}`, `${waitSeconds}`, ...targets]));
	const dig = (source: string, server: string, name = "whoami.lab") =>
		// biome-ignore format: one option per line would hide the command
		lab.text("client", [
			"dig", "+short", "+time=2", "+tries=1", "-b", source, `@${server}`, "-p", "7053", name, "TXT",
		]);
	const rewritten = async () => {
		const counters = (await lab.text("b1", ["nft", "list", "ruleset"])).matchAll(
			/counter packets (\d+) bytes \d+ return/g,
		);
		return [...counters].reduce((sum, [, packets]) => sum + Number(packets), 0);
	};

	test.each([
		["IPv4, at the service's own port", eight, `${ECHO}#7000`],
		["IPv6, at the service's own port", eight6, `${ECHO6}#7000`],
		["IPv4, at another port", eight, `${MOVED}#7500`],
		["IPv6, at another port", eight6, `${MOVED6}#7500`],
	])("R32: a Python echo server, %s, answers every datagram from the service", async (_, source, target) => {
		const before = await rewritten();
		expect(await client(source, 100, Array<string>(20).fill(target))).toBe(20);
		expect(await rewritten()).toBe(before + 20);
	});

	test.each([
		["IPv4", seven, `${ECHO}#7000`],
		["IPv6", seven6, `${ECHO6}#7000`],
		["IPv4, at another port", seven, `${MOVED}#7500`],
	])(
		"R32: large datagrams over %s: packet-too-big about a reply arrives, and the next ones are fragmented",
		async (_, source, target) => {
			await until("the path MTU to be known", async () => (await client(source, 4000, [target], 0.3)) === 1);
			expect(await client(source, 4000, Array<string>(5).fill(target))).toBe(5);
			expect(await client(source, 8000, Array<string>(5).fill(target))).toBe(5);
		},
	);

	test.each([
		["at the service's own port", nine6, `${ECHO6}#7000`],
		["at another port", ten6, `${MOVED6}#7500`],
	])(
		"R34: IPv6 datagrams that the server's own link fragments, %s: packet-too-big about a first fragment takes effect",
		async (_, source, target) => {
			const { forwarded_icmp: before = 0 } = await cluster.reasons("gateway");
			await until("the path MTU to be known", async () => (await client(source, 12_000, [target], 0.3)) === 1);
			expect(await client(source, 12_000, Array<string>(5).fill(target))).toBe(5);
			const { forwarded_icmp: after = 0 } = await cluster.reasons("gateway");
			expect(after).toBeGreaterThan(before);
		},
	);

	test("R32: a client straight to the backend is answered from there, and one that uses both ways by each", async () => {
		const before = await rewritten();
		const direct = `${addresses.b1.ipv4}#7000`;
		const direct6 = `${addresses.b1.ipv6}#7000`;
		expect(await client(eight, 100, [direct, direct])).toBe(2);
		expect(await rewritten()).toBe(before);
		expect(await client(eight, 100, [`${ECHO}#7000`, direct, direct, `${ECHO}#7000`, direct])).toBe(5);
		expect(await client(eight6, 100, [`${ECHO6}#7000`, direct6, direct6, `${ECHO6}#7000`, direct6])).toBe(5);
		expect(await rewritten()).toBe(before + 4);
	});

	test("R32: two services at one port of the backend: a client of both from one port hears each", async () => {
		const [one, two, moved] = [`${ECHO}#7000`, `${TWIN}#7000`, `${MOVED}#7500`];
		expect(await client(eight, 100, [one, two, one, moved, moved, two, one, one])).toBe(8);
	});

	test("R32: nsd and memcached on the wildcard address answer from the service", async () => {
		expect(await dig(eight, DNS)).toBe('"b1"');
		expect(await dig(eight6, DNS6)).toBe('"b1"');
		expect(await lab.text("client", ["python3", "-c", MEMCACHED])).toMatch(/^VERSION /);
	});

	test("R32: a client of nsd is redirected, and all its questions are answered, by the gateway and straight", async () => {
		const options = {
			...{ kind: "dns", from: seven, service: DNS, port: 7053, count: 200, gapMs: 20 },
			redirection: { targets: ["10.77.0.0/16"] },
		};
		const path = join(import.meta.dirname, "client-program.mjs");
		const program = lab.start("client", [process.execPath, path, JSON.stringify(options)]);
		expect(await program.ended, program.stderr).toBe(0);
		const lines = program.stdout.trimEnd().split("\n");
		const exchanges = lines.map((line) => JSON.parse(line)).filter((line) => "i" in line);
		expect(exchanges.map(({ who }) => who)).toEqual(Array(200).fill("b1"));
		const { counters } = JSON.parse(lines.at(-1) as string);
		expect(counters.toGateway).toBeGreaterThan(0);
		expect(counters.toTarget).toBeGreaterThan(100);
	});

	// In user space the service address goes with the tun device.
	test.runIf(engine === "native")(
		"R32: what a server sends goes on while the backend's daemon is killed and started again",
		async () => {
			const listener = lab.start("client", ["python3", "-c", LISTENER, eight, ECHO]);
			await listener.saysOnStdout(/listening/);
			await cluster.daemons.get("b1")?.stop("SIGKILL");
			expect(await client(eight, 100, [`${ECHO}#7000`])).toBe(1);
			await cluster.startOne("b1");
			await listener.ended;
			expect(listener.stdout).toContain("heard 30");
		},
	);

	test("R3 R32: a range of ports: an echo server at one of them answers from the service, beside those of one port", async () => {
		const [range, one] = [`${SEVERAL}#7000`, `${ECHO}#7000`];
		expect(await client(eight, 100, [range, range, one, range, one])).toBe(5);
	});

	test("R3 R32: any port: tftpd replies from a port of its own, and a file of many packets arrives whole", async () => {
		const content = randomBytes(100_000);
		writeFileSync(join(files, "file"), content, { mode: 0o644 });
		const before = (await cluster.reasons("gateway")).forwarded ?? 0;
		const copy = join(lab.directory, "copy");
		// biome-ignore format: one option per line would hide the command
		await lab.text("client", [
			"curl", "--silent", "--show-error", "--max-time", "20", "--interface", eight, "--output", copy, `tftp://${TFTP}/file`,
		]);
		expect(readFileSync(copy).equals(content)).toBe(true);
		// Each block of 512 bytes is acknowledged to the server's own port, by the gateway.
		await until("the gateway to have counted them", async () => {
			return ((await cluster.reasons("gateway")).forwarded ?? 0) - before >= 195;
		});
		const { sessions } = await cluster.api("gateway").sessions({ service: "tftp" });
		expect(sessions).toMatchObject([{ backend: "b1", destination: TFTP }]);
	});

	test("R32: TCP is answered from the service's address without a rewrite", async () => {
		const before = await rewritten();
		expect(await lab.text("client", ["python3", "-c", TCP_CLIENT, ECHO])).toBe("hello");
		expect(await rewritten()).toBe(before);
	});

	test.each(["203.0.113.96", "203.0.113.103", "203.0.113.111"])(
		"R3 R32: a prefix of service addresses: a server on the wildcard address accepts connections at %s",
		async (address) => {
			expect(await lab.text("client", ["python3", "-c", TCP_CLIENT, address])).toBe("hello");
		},
	);

	test("R32: a prefix of service addresses: an echo server on the wildcard address answers from the address that was asked", async () => {
		const targets = ["203.0.113.96", "203.0.113.103", "203.0.113.111", ECHO, "203.0.113.103"];
		expect(
			await client(
				eight,
				100,
				targets.map((address) => `${address}#7000`),
			),
		).toBe(5);
	});

	test("R29 R32: a clean end leaves no table of it", async () => {
		expect((await traces(lab, "b1")).join()).toContain("shunt_b1_reply_port");
		await cluster.daemons.get("b1")?.stop();
		expect(await traces(lab, "b1")).toEqual([]);
	});
});
