// mptcp.test.ts - R35: unmodified MPTCP clients (curl, iperf3, ssh under mptcpize) and QUIC clients go on straight to the backend, and what
// happens to their connections when a backend drains and when either path dies.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, ENGINES, labConfig, traces, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const [seven, eight] = addresses.client.ipv4;
const IPERF = { ipv4: "203.0.113.52", ipv6: "2001:db8:53::52" };
const WEB = "203.0.113.80";
const SSH = "203.0.113.94";
const MPTCP = "    redirect: { mptcp: true }\n    backends: [b1, b2, b3]\n";

const CONFIG = labConfig(
	[/(port: 80\n {4}protocol: tcp\n {4}idle: 1m\n) {4}backends.*\n/, `$1${MPTCP}`],
	[/(spread: source\n) {4}backends.*\n/, `$1${MPTCP}`],
	[
		"\nservices:\n",
		`\nservices:\n  ssh: { address: ${SSH}, port: 2222, protocol: tcp, backends: [b1], redirect: { mptcp: true } }\n`,
	],
);
/** MPTCP at the client, nginx on b2, and iperf3 on these backends. */
const prepare = (backends: readonly ("b1" | "b2" | "b3")[]) => async (host: Lab) => {
	await host.run("client", ["ip", "mptcp", "limits", "set", "subflow", "4", "add_addr_accepted", "4"]);
	const nginx = join(host.directory, "nginx.conf");
	writeFileSync(
		nginx,
		`user root; pid ${host.directory}/nginx.pid; error_log stderr; events {}
		http { access_log off; server { listen 80; listen 8080; root ${host.directory}; } }`,
	);
	writeFileSync(join(host.directory, "file"), Buffer.alloc(4 << 20, "x"));
	const start = async (on: "b1" | "b2" | "b3", port: number, ...command: string[]) => {
		const program = host.start(on, ["mptcpize", "run", ...command]);
		await until("the service's program", async () => {
			if (!program.running) throw new Error(program.stderr);
			return (await host.text(on, ["ss", "-Hltn", `sport = :${port}`])) !== "";
		});
	};
	await start("b2", 8080, "nginx", "-c", nginx, "-g", "daemon off;");
	for (const on of backends) await start(on, 5201, "iperf3", "--server", "--forceflush");
};

describe.skipIf(!isRoot).each(ENGINES)("MPTCP, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	const members = ["b1", "b2", "gateway"] as const;
	useCluster({ config: CONFIG, engine, services: false, prepare: prepare(["b1", "b2"]), members }, (running) => {
		({ lab, cluster } = running);
	});

	const own = async (host: "b1" | "b2") => (await cluster.status(host)).mptcp!;
	/** What the gateway has forwarded to the service at this address. */
	const forwarded = async (address: string, protocol = "tcp") => {
		const { services } = await cluster.status("gateway");
		const one = services.find((service) => service.address === address && service.protocol === protocol);
		return (one?.targets ?? []).reduce((sum, target) => sum + target.bytes, 0);
	};
	const iperf = (to: string, from: string, ...options: string[]) =>
		["iperf3", "--client", to, "--bind", from, "--bitrate", "16M", ...options] as const;
	const measured = async (address: string, command: readonly [string, ...string[]]) => {
		const before = { own: await own("b1"), bytes: await forwarded(address) };
		await lab.run("client", command, { timeoutMs: 20_000 });
		await until("its connections to be closed", async () => (await own("b1")).connections === 0, 20_000);
		const after = await own("b1");
		return {
			joined: after.joined - before.own.joined,
			direct: after.bytesReceived - before.own.bytesReceived,
			gateway: (await forwarded(address)) - before.bytes,
		};
	};

	test("R35: a client without MPTCP is served by the gateway; with it, nearly all bytes go past the gateway", async () => {
		await until("the daemon to look", async () => (await cluster.status("b1")).advice.length > 0);
		const plain = await measured(IPERF.ipv4, [...iperf(IPERF.ipv4, seven, "--bytes", "1M")]);
		expect(plain).toMatchObject({ joined: 0, direct: 0 });
		expect(plain.gateway).toBeGreaterThan(1 << 20);
		for (const family of ["ipv4", "ipv6"] as const) {
			const from = addresses.client[family][0];
			const command = iperf(IPERF[family], from, "--bytes", "3M");
			const mptcp = await measured(IPERF[family], ["mptcpize", "run", ...command]);
			// iperf3 has a control connection and a data connection.
			expect(mptcp.joined).toBeGreaterThanOrEqual(1);
			expect(mptcp.gateway).toBeLessThan((3 << 20) * 0.6);
			if (process.env.SHUNT_MEASURE) console.log(engine, family, mptcp);
		}
	});

	test("R35 R3: with curl and nginx, where the backend's port is not the service's", async () => {
		const before = { own: await own("b2"), bytes: await forwarded(WEB) };
		// biome-ignore format: one option per line would hide the command
		await lab.run("client", [
			"mptcpize", "run", "curl", "--silent", "--fail", "--interface", eight, "--limit-rate", "2M", "--output", "/dev/null",
			`http://${WEB}/file`,
		], { timeoutMs: 20_000 });
		const after = await own("b2");
		expect(after.joined - before.own.joined).toBe(1);
		if (process.env.SHUNT_MEASURE) console.log(engine, "curl", (await forwarded(WEB)) - before.bytes);
	});

	test("R35: with ssh and sshd, nearly all bytes go past the gateway", async () => {
		const [hostKey, key, config] = ["ssh-host", "ssh-user", "sshd.conf"].map((name) => join(lab.directory, name)) as [
			string,
			string,
			string,
		];
		for (const file of [hostKey, key])
			await lab.run("b1", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file]);
		// The directory that Debian's sshd changes to before a login; a lab has no service that makes it.
		mkdirSync("/run/sshd", { recursive: true });
		writeFileSync(
			config,
			`Port 2222\nHostKey ${hostKey}\nAuthorizedKeysFile ${key}.pub\nPidFile none\nUsePAM no\nStrictModes no
			PasswordAuthentication no\nPermitRootLogin prohibit-password\n`,
		);
		const server = lab.start("b1", ["mptcpize", "run", "/usr/sbin/sshd", "-D", "-e", "-f", config]);
		await until("sshd", async () => (await lab.text("b1", ["ss", "-Hltn", "sport = :2222"])) !== "");
		const options = `-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -F none`;
		// 4 MB in 4 s: the second subflow opens meanwhile.
		const upload = "for i in $(seq 40); do head -c 100000 /dev/zero; sleep 0.1; done";
		const ssh = `mptcpize run ssh -p 2222 -i ${key} -b ${seven} ${options} root@${SSH}`;
		const connect = () => measured(SSH, ["sh", "-c", `(${upload}) | ${ssh} wc -c`]);
		let one = await connect();
		// The address of the direct path is announced some time after the daemon has seen the server.
		const end = performance.now() + 120_000;
		while (one.direct <= one.gateway && performance.now() < end) one = await connect();
		if (process.env.SHUNT_MEASURE) console.log(engine, "ssh", one);
		expect(one.joined).toBeGreaterThanOrEqual(1);
		expect(one.direct).toBeGreaterThan(one.gateway);
		await server.stop();
	}, 180_000);

	test("R35: a QUIC client follows the server's preferred address past the gateway", async () => {
		mkdirSync(join(lab.directory, "quic"));
		const [key, certificate] = [join(lab.directory, "quic.key"), join(lab.directory, "quic.pem")];
		// biome-ignore format: one option per line would hide the command
		await lab.run("b1", [
			"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=lab",
			"-days", "2", "-keyout", key, "-out", certificate,
		]);
		// A port of its own: no rule of a service's port applies to what the server sends from there.
		const preferred = `${addresses.b1.ipv4}:5202`;
		// biome-ignore format: one option per line would hide the command
		const server = lab.start("b1", [
			"gtlsserver", "--quiet", "--htdocs", lab.directory, `--preferred-ipv4-addr=${preferred}`, "*", "5201", key, certificate,
		]);
		await until("the server", async () => (await lab.text("b1", ["ss", "-Hlun", "sport = :5202"])) !== "");
		const bytes = await forwarded(IPERF.ipv4, "udp");
		const direct = await lab.capture("router", "b1", "udp dst port 5202", { snaplen: 64 });
		// biome-ignore format: one option per line would hide the command
		await lab.run("client", [
			"gtlsclient", "--quiet", "--exit-on-all-streams-close", `--download=${lab.directory}/quic`, IPERF.ipv4, "5201",
			`https://${IPERF.ipv4}/file`,
		], { timeoutMs: 30_000 });
		const packets = await direct.stop();
		const past = packets.reduce((sum, { length }) => sum + length, 0);
		const by = (await forwarded(IPERF.ipv4, "udp")) - bytes;
		if (process.env.SHUNT_MEASURE) console.log(engine, "QUIC", { past, packets: packets.length, by });
		expect(by).toBeGreaterThan(0);
		expect(past).toBeGreaterThan(by);
		await server.stop();
	});

	test("R35 R32: status says what keeps clients at the gateway", async () => {
		// b1 has no nginx.
		expect((await cluster.status("b1")).advice).toContain(
			`nothing listens at tcp ${addresses.b1.ipv4}:80 on this host, so MPTCP clients stay with the gateway; bind the service's program to the wildcard address`,
		);
	});

	describe("one long connection", () => {
		let client: LabProcess;

		beforeAll(async () => {
			const start = () => lab.start("client", ["mptcpize", "run", ...iperf(IPERF.ipv4, seven, "--time", "600")]);
			client = start();
			// iperf3's server refuses while it ends another test. An address whose subflow has failed is announced after 30 s.
			await until(
				"it to be direct",
				async () => {
					if (!client.running) client = start();
					return (await own("b1")).direct === 2;
				},
				50_000,
			);
		});
		afterAll(() => client.stop("SIGINT").then(() => {}));

		const directGrows = async () => {
			const { bytesReceived } = await own("b1");
			await until(
				"bytes past the gateway",
				async () => (await own("b1")).bytesReceived > bytesReceived + 100_000,
				30_000,
			);
		};
		const gatewayGrows = async () => {
			const bytes = await forwarded(IPERF.ipv4);
			await until("bytes by the gateway", async () => (await forwarded(IPERF.ipv4)) > bytes + 100_000, 30_000);
		};

		/** The router drops what matches. */
		const cut = (match: string) =>
			lab.run("router", [
				"nft",
				`add table inet cut; add chain inet cut forward { type filter hook forward priority 0; }; add rule inet cut forward ${match} drop`,
			]);
		const mend = () => lab.run("router", ["nft", "delete table inet cut"]);

		test("R35: a backend that drains withdraws its address: the connection goes on by the gateway, and returns", async () => {
			await cluster.change("b1: { address", "b1: { state: draining, address", ["gateway", "b1"]);
			await until("no direct subflow", async () => (await own("b1")).subflows === 0, 20_000);
			await gatewayGrows();
			await cluster.change("b1: { state: draining, address", "b1: { address", ["gateway", "b1"]);
			await until("it to be direct", async () => (await own("b1")).direct === 2, 20_000);
			await directGrows();
		});

		test("R35: if the gateway's link dies, the direct subflow carries on", async () => {
			await cut('oifname "gateway"');
			await directGrows();
			await directGrows();
			await mend();
		});

		test("R35: if the direct path dies, the first subflow carries on", async () => {
			await cut(`ip daddr ${addresses.b1.ipv4} tcp dport 5201`);
			await gatewayGrows();
			await mend();
		});

		test("R35: a daemon that follows a killed one knows the connection, which carried on meanwhile", async () => {
			await cluster.daemons.get("b1")!.stop("SIGKILL");
			await cluster.startOne("b1");
			await until("it to be known as direct", async () => (await own("b1")).direct === 2, 20_000);
			expect((await own("b1")).joined, "by the subflows that there were").toBe(2);
			await directGrows();
		});

		test("R35: a clean end restores the host, and the connection carries on", async () => {
			const values = () =>
				// biome-ignore format: one option per line would hide the command
				lab.text("b2", ["sysctl", "--values", "net.mptcp.pm_type", "net.mptcp.allow_join_initial_addr_port"]);
			expect(await values()).toBe("1\n0");
			await cluster.daemons.get("b2")!.stop();
			expect(await values()).toBe("0\n1");
			expect(await traces(lab, "b2")).toEqual([]);
			expect(client.running).toBe(true);
		});
	});
});

// A lab of its own: the backends of a narrow link still have connections of iperf3's to end.
describe.skipIf(!isRoot)("MPTCP past a narrow link, engine native", () => {
	let lab: Lab;

	const backends = ["b1", "b2", "b3"] as const;
	const members = [...backends, "gateway"] as const;
	useCluster({ config: CONFIG, engine: "native", services: false, prepare: prepare(backends), members }, (running) => {
		({ lab } = running);
	});

	test("R35: three backends serve more than the gateway's link carries", async () => {
		const LINK = 10e6;
		for (const link of ["gateway", "b1", "b2", "b3"])
			// biome-ignore format: one option per line would hide the command
			await lab.run("router", [
				"tc", "qdisc", "add", "dev", link, "root", "tbf", "rate", String(LINK), "burst", "32kb", "latency", "50ms",
			]);
		const goodput = async (from: string) => {
			// biome-ignore format: one option per line would hide the command
			const report = await lab.text("client", [
				"mptcpize", "run", "iperf3", "--client", IPERF.ipv4, "--bind", from, "--time", "4", "--omit", "1", "--json",
			], { timeoutMs: 20_000 });
			return JSON.parse(report).end.sum_received.bits_per_second as number;
		};
		const each = await Promise.all(addresses.client.ipv4.slice(0, 3).map(goodput));
		const ratio = each.reduce((sum, one) => sum + one, 0) / LINK;
		if (process.env.SHUNT_MEASURE) console.log("goodput", each, ratio);
		expect(ratio).toBeGreaterThan(2);
		for (const link of ["gateway", "b1", "b2", "b3"])
			await lab.run("router", ["tc", "qdisc", "del", "dev", link, "root"]);
	});
});
