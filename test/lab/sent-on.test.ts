// sent-on.test.ts - a backend drains before its gateway knows: new flows are forwarded to another backend, known ones stay.

import { describe, expect, test } from "vitest";
import { type Cluster, ENGINES, labConfig, useCluster, whoAnswers } from "./cluster.js";
import { addresses, isRoot, type Lab } from "./lab.js";

const CLIENT = addresses.client.ipv4[2];
const VIP = "203.0.113.53";
const WEB = "203.0.113.80";
/** Asks by a connection from each port, and once more by each when it reads a line. */
const TWICE = `
import socket, sys
source, to, *ports = sys.argv[1:]
def connect(port):
    s = socket.socket(); s.bind((source, int(port))); s.settimeout(5); s.connect((to, 80))
    return s
def ask(s):
    try:
        s.send(b"GET / HTTP/1.1\\r\\nHost: lab\\r\\n\\r\\n")
        return s.recv(65535).startswith(b"HTTP/1.1 200")
    except OSError: return False
all = [connect(port) for port in ports]
print("first", sum(map(ask, all)), flush=True)
sys.stdin.readline()
print("second", sum(map(ask, all)), flush=True)
`;
const B1 = /(b1: \{ address: \[10\.77\.11\.2, "fd77:11::2"\], interface: eth0)( \})/;

describe.skipIf(!isRoot).each(ENGINES)("a backend that is draining, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	const config = labConfig(["  web: # nginx\n", "  web: # nginx\n    choose: least-load\n"]);
	useCluster({ engine, config }, (running) => {
		({ lab, cluster } = running);
	});

	test("R36: a connection of which no member has a session goes on from its first row's backend to its second's, where it is", async () => {
		const ports: string[] = [];
		for (let port = 21_000; ports.length < 16; port++) {
			const flow = { protocol: "tcp", source: CLIENT, sourcePort: port, destination: WEB, destinationPort: 80 };
			const { weighed } = await cluster.api("gateway").explain(flow);
			const backends = weighed?.map(({ target }) => target.split(" ")[0]).sort();
			if (backends?.join() === "b1,b2") ports.push(String(port));
		}
		await cluster.change(/(choose: least-load[\s\S]*?backends: )\[b1, b2, b3\]/, "$1[b2]");
		const client = lab.start("client", ["python3", "-c", TWICE, CLIENT, WEB, ...ports]);
		await client.saysOnStdout(/first 16/);
		await cluster.change(/(choose: least-load[\s\S]*?backends: )\[b2\]/, "$1[b1, b2, b3]");
		for (const host of ["gateway", "b1", "b2"] as const) await cluster.api(host).expireSessions({ all: 1 });
		client.child.stdin?.write("\n");
		expect((await client.saysOnStdout(/second (\d+)/, 90_000))[1]).toBe("16");
		const { forwarded_on = 0 } = await cluster.reasons("b1");
		expect(forwarded_on, "of sixteen, some have b1 as their first row").toBeGreaterThan(0);
	});

	test("R8 R9: it serves the sessions that it has, and sends new ones on to another backend, over UDP and TCP, before the gateway knows", async () => {
		const ports = Array.from({ length: 24 }, (_, i) => 20_000 + i);
		const first = new Map<number, string>();
		for (const port of ports) first.set(port, await whoAnswers(lab, `${CLIENT}#${port}`, VIP));
		const its = ports.filter((port) => first.get(port) === "b1");
		expect(its.length).toBeGreaterThan(1);

		await cluster.change(B1, "$1, state: draining$2", ["b1"]);
		for (const port of its.slice(0, 3)) expect(await whoAnswers(lab, `${CLIENT}#${port}`, VIP)).toBe("b1");
		const later = await Promise.all(ports.map((port) => whoAnswers(lab, `${CLIENT}#${port + 1000}`, VIP)));
		const tcp = await Promise.all(
			ports.slice(0, 12).map((port) => whoAnswers(lab, `${CLIENT}#${port + 2000}`, VIP, ["+tcp"])),
		);
		expect([...later, ...tcp].filter((who) => who !== "b2" && who !== "b3")).toEqual([]);
		const { forwarded_on = 0 } = await cluster.reasons("b1");
		expect(forwarded_on, "by this backend, not by the gateway").toBeGreaterThan(3);
		const received = await Promise.all((["b2", "b3"] as const).map((host) => cluster.reasons(host)));
		expect(received.reduce((sum, { delivered = 0 }) => sum + delivered, 0)).toBeGreaterThan(24);
	});
});
