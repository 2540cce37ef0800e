// agent-flows.test.ts - R26: connections over UDP (QUIC, DTLS, WireGuard) by unmodified programs under `shunt client`. Their servers
// listen on the wildcard address and bind a connection to the address that its first packet was sent to.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startAgent } from "./agent-program.js";
import { ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const QUIC = { 4: "203.0.113.91", 6: "2001:db8:53::91" } as const;
const DTLS = "203.0.113.92";
const WIREGUARD = "203.0.113.93";
const BYTES = 300_000;
const MORE = `
services:
  quic:
    address: [${QUIC[4]}, "${QUIC[6]}"]
    port: 4433
    protocol: udp
    backends: [b1, b2]
    redirect: { clients: true, term: leased, lease: 60s }
  dtls:
    address: ${DTLS}
    port: 4434
    protocol: udp
    backends: [b1]
    redirect: { clients: true, term: leased, lease: 60s }
  wireguard:
    address: ${WIREGUARD}
    port: 51820
    protocol: udp
    backends: [b1]
    redirect: { clients: true, term: leased, lease: 60s }
`;

describe.skipIf(!isRoot).each(ENGINES)("connections over UDP under the agent, engine %s", (engine) => {
	let lab: Lab;
	let dtls: LabProcess;
	useCluster({ engine, config: labConfig(["\nservices:\n", MORE]), services: false }, (running) => {
		({ lab } = running);
	});

	beforeAll(async () => {
		const [key, certificate] = ["key.pem", "certificate.pem"].map((name) => join(lab.directory, name)) as [
			string,
			string,
		];
		// biome-ignore format: one option per line would hide the command
		await lab.run("b1", [
			"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
			"-subj", "/CN=service.lab", "-keyout", key, "-out", certificate,
		]);
		writeFileSync(join(lab.directory, "file"), Buffer.alloc(BYTES, "x"));
		for (const host of ["b1", "b2"] as const)
			lab.start(host, ["gtlsserver", "--quiet", "-d", lab.directory, "*", "4433", key, certificate]);
		// biome-ignore format: one option per line would hide the command
		dtls = lab.start("b1", ["openssl", "s_server", "-dtls1_2", "-quiet", "-port", "4434", "-key", key, "-cert", certificate]);
		await until("the servers to listen", async () => {
			const [one, two] = await Promise.all((["b1", "b2"] as const).map((host) => lab.text(host, ["ss", "-Hlun"])));
			return one?.includes(":4433") && one.includes(":4434") && two?.includes(":4433");
		});
	});

	const redirected = (agent: LabProcess) =>
		until("a redirection", () => agent.stdout.includes('"event":"redirect"'), 10_000);

	for (const family of [4, 6] as const) {
		const [source] = family === 4 ? addresses.client.ipv4 : addresses.client.ipv6;
		const host = family === 4 ? QUIC[4] : `[${QUIC[6]}]`;

		test(`R26: QUIC over IPv${family}: a first connection that begins at the gateway stays there to its end, the next one goes straight`, async () => {
			const download = async () => {
				const file = join(lab.directory, "downloads", "file");
				// biome-ignore format: one option per line would hide the command
				const { status } = await lab.run("client", [
					"gtlsclient", "--quiet", "--exit-on-all-streams-close", "--timeout=5s", "--handshake-timeout=5s",
					`--download=${join(lab.directory, "downloads")}`, QUIC[family], "4433", `https://${host}:4433/file`,
				], { mayFail: true, timeoutMs: 20_000 });
				const bytes = readFileSync(file).length;
				await lab.run("client", ["rm", file]);
				return { status, bytes };
			};
			await lab.run("client", ["mkdir", "-p", join(lab.directory, "downloads")]);
			for (let i = 0; i < (family === 4 ? 2 : 1); i++) {
				const agent = await startAgent(lab, source, `udp/${host}:4433`);
				expect(await download()).toEqual({ status: 0, bytes: BYTES });
				await redirected(agent);
				const wire = await lab.capture("client", "eth0", `udp and host ${QUIC[family]}`);
				expect(await download()).toEqual({ status: 0, bytes: BYTES });
				expect(await wire.stop()).toHaveLength(0);
				await agent.stop();
			}
		});
	}

	test("R26: DTLS: a connection that begins at the gateway stays there, the next one goes straight", async () => {
		const [source] = addresses.client.ipv4;
		const agent = await startAgent(lab, source, `udp/${DTLS}:4434`);
		/** 15 lines, a tenth of a second apart: how many of them the server has printed. */
		const lines = async (first: number) => {
			const say = `for i in $(seq ${first} ${first + 14}); do echo line$i; sleep 0.1; done`;
			const client = `openssl s_client -dtls1_2 -quiet -no_ign_eof -bind ${source}:0 -connect ${DTLS}:4434`;
			await lab.run("client", ["sh", "-c", `(${say}) | ${client}`]);
			return until("the server to print the last line", () => {
				const printed = (dtls.stdout.match(/line\d\d/g) ?? []).map((one) => Number(one.slice(4)));
				return printed.includes(first + 14) && printed.filter((one) => one >= first).length;
			});
		};
		expect(await lines(11)).toBe(15);
		await redirected(agent);
		const wire = await lab.capture("client", "eth0", `udp and host ${DTLS}`);
		expect(await lines(31)).toBe(15);
		expect(await wire.stop()).toHaveLength(0);
		await agent.stop();
	});

	test("R22 R26: a WireGuard tunnel that begins at the gateway moves to the target, and loses nothing", async () => {
		const [source] = addresses.client.ipv4;
		// Interfaces' control sockets have one directory on the host.
		const ends = { b1: `wgs${process.pid}`, client: `wgc${process.pid}` } as const;
		const tunnel = { b1: "10.99.0.1", client: "10.99.0.2" } as const;
		const keys = Object.fromEntries(
			await Promise.all(
				Object.keys(ends).map(async (host) => {
					const secret = (await lab.text("client", ["wg", "genkey"])).trim();
					const file = join(lab.directory, `wireguard.${host}`);
					writeFileSync(file, secret);
					return [host, { file, public: (await lab.text("client", ["sh", "-c", `wg pubkey < ${file}`])).trim() }];
				}),
			),
		) as Record<keyof typeof ends, { file: string; public: string }>;
		const agent = await startAgent(lab, source, `udp/${WIREGUARD}:51820`);
		const programs = [];
		for (const host of ["b1", "client"] as const) {
			const name = ends[host];
			programs.push(lab.start(host, ["wireguard-go", "-f", name]));
			await until(
				"the interface",
				async () => (await lab.run(host, ["wg", "show", name], { mayFail: true })).status === 0,
			);
			const peer = keys[host === "b1" ? "client" : "b1"].public;
			const to = host === "b1" ? [] : ["endpoint", `${WIREGUARD}:51820`];
			const port = host === "b1" ? ["listen-port", "51820"] : [];
			await lab.run(host, [
				...(["wg", "set", name, "private-key", keys[host].file, ...port] as const),
				...["peer", peer, ...to, "allowed-ips", "10.99.0.0/24"],
			]);
			await lab.run(host, ["ip", "address", "add", `${tunnel[host]}/24`, "dev", name]);
			await lab.run(host, ["ip", "link", "set", "dev", name, "mtu", "1280", "up"]);
		}
		const ping = (count: number, interval: string) =>
			lab.text("client", ["ping", "-c", String(count), "-i", interval, "-W", "10", tunnel.b1], { timeoutMs: 40_000 });
		const once = ["ping", "-c", "1", "-W", "1", tunnel.b1] as const;
		// WireGuard sends a handshake that is lost again after 5 s.
		await until("the handshake", async () => (await lab.run("client", once, { mayFail: true })).status === 0, 30_000);
		const moving = ping(100, "0.02");
		await redirected(agent);
		expect(await moving).toContain(" 0% packet loss");
		const wire = await lab.capture("client", "eth0", `udp and host ${WIREGUARD}`);
		expect(await ping(10, "0.02")).toContain(" 0% packet loss");
		expect(await wire.stop()).toHaveLength(0);
		for (const program of programs) await program.stop();
		await agent.stop();
	});
});
