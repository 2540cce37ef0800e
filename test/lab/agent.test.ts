// agent.test.ts - R26 over real packets: applications that know nothing of redirections, under `shunt client`.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { decodeFrame } from "../../src/wire/index.js";
import { ethernet, ipv4, udp } from "../wire/pcap.js";
import { eventsOf, startAgent } from "./agent-program.js";
import { CLI, type Cluster, ENGINES, labConfig, type MemberHost, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const VIP = { 4: "203.0.113.53", 6: "2001:db8:53::53" } as const;
const ECHO = { 4: "203.0.113.77", 6: "2001:db8:53::77" } as const;
const ECHO_PROGRAM = join(import.meta.dirname, "agent-echo.mjs");
const BACKENDS = ["b1", "b2", "b3"] as const;
/** The same backends fall in one test after the other: no hold-down grows. */
const HEALTH = ["health: { slowStart: 0ms }", "health: { slowStart: 0ms, hold: 100ms }"] as const;
/** Beside the lab's own services: one that echoes, and one for iperf3 on the wildcard address. */
const MORE = `
services:
  echo:
    address: [${ECHO[4]}, "${ECHO[6]}"]
    port: 7777
    protocol: [udp, tcp]
    backends: [b1, b2, b3]
    sources:
      - from: [198.51.100.7, "2001:db8:100::7"]
        backends: [b1, b2]
        redirect: { clients: true, term: leased, lease: 4s }
  bulk:
    address: [203.0.113.78, "2001:db8:53::78"]
    port: 5202
    protocol: tcp
    backends: [b1]
    redirect: { clients: true, term: leased, lease: 60s }
`;

const sourceOf = (family: 4 | 6) => (family === 4 ? addresses.client.ipv4[0] : addresses.client.ipv6[0]);

function redirected(program: LabProcess, service: string): Promise<unknown> {
	return until(`${service} to be redirected`, () =>
		eventsOf(program).some((one) => one.event === "redirect" && one.service === service),
	);
}

/** What of the agent is on the client's interface. */
async function hooks(lab: Lab): Promise<string> {
	const ways = await Promise.all(
		["ingress", "egress"].map((way) => lab.text("client", ["tc", "filter", "show", "dev", "eth0", way])),
	);
	return [...ways, await lab.text("client", ["tc", "qdisc", "show", "dev", "eth0"])].join("\n");
}

async function dig(lab: Lab, family: 4 | 6, options: readonly string[] = []): Promise<string> {
	const source = family === 4 ? addresses.client.ipv4[0] : addresses.client.ipv6[0];
	// biome-ignore format: one option per line would hide the command
	const answer = await lab.text("client", [
		"dig", "+short", "+time=2", "+tries=1", "-b", source, ...options, `@${VIP[family]}`, "whoami.lab", "TXT",
	]);
	return answer.replaceAll('"', "");
}

/** A TCP segment's checksum over IPv4: right, or only its pseudo-header's sum, which the link goes on from, or neither. */
function checksumOf(frame: Buffer): "finished" | "for the link" | "wrong" {
	const ip = frame.subarray(14, 14 + frame.readUInt16BE(16));
	const segment = ip.subarray(20);
	const fold = (bytes: Buffer) => {
		let total = 0;
		for (const [i, byte] of bytes.entries()) total += i & 1 ? byte : byte << 8;
		while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
		return total;
	};
	const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 6, segment.length >> 8, segment.length & 255])]);
	if (fold(Buffer.concat([pseudo, segment])) === 0xffff && fold(ip.subarray(0, 20)) === 0xffff) return "finished";
	return segment.readUInt16BE(16) === fold(pseudo) && fold(ip.subarray(0, 20)) === 0xffff ? "for the link" : "wrong";
}

const web = (address: string) => (address.includes(":") ? `http://[${address}]:7777/` : `http://${address}:7777/`);
const named = (protocol: string, address: string, port: number) =>
	`${protocol}/${address.includes(":") ? `[${address}]` : address}:${port}`;

/** A process may take long to start on a loaded machine. */
const START_MS = 60_000;

describe.skipIf(!isRoot).each(ENGINES)("applications under the agent, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	let untouched: string;
	const echoes = new Map<MemberHost, LabProcess>();

	async function startEcho(host: (typeof BACKENDS)[number]): Promise<void> {
		const { ipv4, ipv6 } = addresses[host];
		// biome-ignore format: one option per line would hide the command
		const echo = lab.start(host, [process.execPath, ECHO_PROGRAM, "serve", "7777", host, ipv4, ipv6, ECHO[4], ECHO[6]]);
		await echo.saysOnStdout(/ready/, START_MS);
		echoes.set(host, echo);
	}

	const prepare = async (before: Lab) => {
		untouched = await hooks(before);
	};
	useCluster({ engine, config: labConfig(["\nservices:\n", MORE], HEALTH), prepare }, (running) => {
		({ lab, cluster } = running);
	});
	beforeAll(async () => {
		await Promise.all(BACKENDS.map(startEcho));
		await lab.start("b1", ["iperf3", "--server", "--port", "5202", "--forceflush"]).saysOnStdout(/listening/);
	});
	afterEach(async () => {
		expect(await hooks(lab)).toBe(untouched);
		await cluster.healthy();
	});

	for (const family of [4, 6] as const) {
		const service = named("", VIP[family], 53).slice(1);
		const source = family === 4 ? addresses.client.ipv4[0] : addresses.client.ipv6[0];
		const b1 = family === 4 ? addresses.b1.ipv4 : addresses.b1.ipv6;
		const bulk = family === 4 ? "203.0.113.78" : "2001:db8:53::78";

		test(`R26: dig over IPv${family}: asked once, then straight to the backend, by UDP and by TCP`, async () => {
			const agent = await startAgent(lab, sourceOf(family), `udp/${service}`, `tcp/${service}`);
			for (const [protocol, options] of [
				["udp", []],
				["tcp", ["+tcp"]],
			] as const) {
				expect(await dig(lab, family, options)).toBe("b1");
				await redirected(agent, `${protocol} ${service}`);
				const wire = await lab.capture("client", "eth0", `host ${source} and port 53`);
				expect(await dig(lab, family, options)).toBe("b1");
				expect(await dig(lab, family, options)).toBe("b1");
				await wire.atLeast(4);
				await wire.stop();
				const printed = await wire.print("-vv");
				expect(printed).not.toContain(VIP[family]);
				expect(printed).toContain(`> ${b1}.53: `);
				expect(printed).toContain(` ${b1}.53 > ${source}.`);
			}
			expect(await agent.stop()).toBe(0);
			expect(eventsOf(agent).filter((one) => one.event === "end")).toHaveLength(2);
		});

		test(`R16 R24 R26: over IPv${family} a datagram shows the capability, and the backend's reply says where to go, though no question gets through`, async () => {
			const word = family === 4 ? "ip" : "ip6";
			const cut = `table inet asked { chain forward { type filter hook forward priority 0; ${word} daddr ${VIP[family]} udp dport 3575 drop; }; }`;
			await lab.run("router", ["nft", cut]);
			const wire = await lab.capture(
				"router",
				"client",
				`udp and src host ${source} and dst host ${VIP[family]} and dst port 53`,
			);
			const agent = await startAgent(lab, sourceOf(family), `udp/${service}`);
			await until("the way to be known", async () => {
				expect(await dig(lab, family)).toBe("b1");
				return eventsOf(agent).some((one) => one.event === "redirect");
			});
			expect(await dig(lab, family)).toBe("b1");
			await wire.stop();
			expect(await wire.print("-vv")).not.toMatch(/bad udp cksum/);
			const shown = wire.packets().flatMap((packet) => decodeFrame(packet.bytes).ip?.udp?.option ?? []);
			expect(shown.some((option) => option.ok && option.header.type === "capability")).toBe(true);
			await lab.run("router", ["nft", "delete table inet asked"]);
			await agent.stop();
		});

		test(`R26: one connected UDP socket over IPv${family}: over renewals, a service that stops, and a backend that falls silent`, async () => {
			const udp = `udp ${named("", ECHO[family], 7777).slice(1)}`;
			const agent = await startAgent(lab, sourceOf(family), named("udp", ECHO[family], 7777));
			// biome-ignore format: one option per line would hide the command
			const application = lab.start("client", [process.execPath, ECHO_PROGRAM, "ask", ECHO[family], "7777", "10"]);
			await redirected(agent, udp);
			const first = /^redirect$/;
			const target = () => String(eventsOf(agent).findLast((one) => first.test(String(one.event)))?.target ?? "");
			const hostOf = (text: string) =>
				BACKENDS.find((host) => text.includes(addresses[host].ipv4) || text.includes(addresses[host].ipv6));
			await until("a renewed lease", () => eventsOf(agent).some((one) => one.change === "renewed"), 10_000);
			const before = hostOf(target()) as (typeof BACKENDS)[number];
			const answers = () => application.stdout.split("\n").filter((line) => /^\d+ /.test(line));
			const numbers = answers().map((line) => Number(line.split(" ")[0]));
			expect(new Set(numbers).size).toBe(numbers.length); // none twice
			expect(Math.max(...numbers) + 1 - numbers.length).toBeLessThanOrEqual(1); // none lost, but what is on its way
			expect(application.stdout).not.toContain("error");

			await echoes.get(before)?.stop();
			const after = await until("another target", () => hostOf(target()) !== before && hostOf(target()), 10_000);
			await until(`answers of ${after}`, () => answers().at(-1)?.endsWith(after));
			expect(eventsOf(agent)).toContainEqual(expect.objectContaining({ event: "failover", cause: "refused" }));
			// The application's own socket was told, by an error that quotes its own packet.
			expect(application.stdout).toContain("error ECONNREFUSED");
			await startEcho(before);

			// Nothing from there, and no word of it: neither to the application's packets nor to probes.
			const { ipv4, ipv6 } = addresses[after];
			const [word, dead] = family === 4 ? ["ip", ipv4] : ["ip6", ipv6];
			const cut = `table inet cut { chain forward { type filter hook forward priority 0; ${word} daddr ${dead} drop; }; }`;
			await lab.run("router", ["nft", cut]);
			const third = () => eventsOf(agent).find((one) => one.event === "failover" && one.cause === "silent");
			await until("the silence to be noticed", third, 10_000);
			await lab.run("router", ["nft", "delete table inet cut"]);

			await application.stop();
			await agent.stop();
		});

		test(`R26: TCP over IPv${family}: a connection that the backend refuses is served by another`, async () => {
			const tcp = `tcp ${named("", ECHO[family], 7777).slice(1)}`;
			const agent = await startAgent(lab, sourceOf(family), named("tcp", ECHO[family], 7777));
			const curl = () => lab.text("client", ["curl", "-sS", "--max-time", "5", web(ECHO[family])]);
			await curl();
			await redirected(agent, tcp);
			const before = (await curl()) as (typeof BACKENDS)[number];
			await echoes.get(before)?.stop();
			let after = "";
			await until("another backend to serve", async () => {
				after = await curl();
				return after !== "" && after !== before;
			});
			await until("a new target", () => eventsOf(agent).filter((one) => one.event === "redirect").length === 2, 10_000);
			await startEcho(before);
			await agent.stop();
		});

		test(`R26: iperf3 over IPv${family}, both ways, with the link's offloads and without, and over a path that narrows`, async () => {
			const agent = await startAgent(lab, sourceOf(family), named("tcp", bulk, 5202));
			const iperf = (...more: string[]) =>
				lab.text("client", ["iperf3", "--client", bulk, "--port", "5202", "--time", "1", "--json", ...more], {
					timeoutMs: 20_000,
				});
			await iperf();
			await redirected(agent, `tcp ${named("", bulk, 5202).slice(1)}`);
			for (const offload of ["on", "off"]) {
				for (const feature of ["tso", "gso", "gro", "tx", "rx"]) {
					await lab.run("client", ["ethtool", "-K", "eth0", feature, offload]);
				}
				for (const way of [[], ["--reverse"]]) {
					const wire = await lab.capture("client", "eth0", `host ${bulk}`);
					const result = JSON.parse(await iperf(...way));
					expect(result.end.sum_received.bits_per_second).toBeGreaterThan(20e6);
					expect(await wire.stop()).toHaveLength(0);
				}
			}
			// A narrow place on the way to the backend alone: the socket learns of it by an error that quotes its own packet.
			await lab.run("router", ["ip", "link", "set", "dev", "b1", "mtu", "1300"]);
			const errors = await lab.capture("client", "eth0", family === 4 ? "icmp" : "icmp6 and ip6[40] == 2");
			const result = JSON.parse(await iperf());
			expect(result.end.sum_received.bits_per_second).toBeGreaterThan(5e6);
			expect((await errors.stop()).length).toBeGreaterThan(0);
			const route = await lab.text("client", ["ip", "route", "get", bulk]);
			expect(route).toContain("mtu 1300");
			await lab.run("router", ["ip", "link", "set", "dev", "b1", "mtu", "9000"]);
			await agent.stop();
		});
	}

	for (const offload of ["off", "on"]) {
		test(`R26: a SYN shows the capability, is answered by a RST, and the same connection opens at the backend; checksum offload ${offload}`, async () => {
			const [, , , ten] = addresses.client.ipv4;
			const web = "203.0.113.80";
			await lab.run("client", ["ethtool", "-K", "eth0", "tx", offload]);
			const wire = await lab.capture("client", "eth0", `host ${ten} and tcp port 80`);
			const agent = lab.start("client", [
				process.execPath,
				...[CLI, "client", "--json", "-i", "eth0", "--service", `tcp/${web}:80`],
				...["--target-prefix", "10.77.0.0/16", "--source", ten],
			]);
			await agent.saysOnStdout(/"event":"ready"/, START_MS);
			const curl = ["curl", "-sS", "--interface", ten, "--max-time", "5", "-w", " %{time_connect}"] as const;
			const answer = await lab.text("client", [...curl, `http://${web}/`]);
			expect(answer).toMatch(/b[123]/);
			expect(Number(answer.split(" ").at(-1))).toBeLessThan(0.9); // not by TCP's own repetition, after a second
			await redirected(agent, `tcp ${web}:80`);
			await agent.stop();
			const packets = await wire.stop();
			const printed = await wire.print("-S", "-vv");
			const [asked, rst, again, ack] = printed.split(/\n(?=\d)/);
			expect(asked).toContain(`> ${web}.80: Flags [S]`);
			expect(asked).toMatch(/exp-5352|unknown-254|exid/i);
			expect(rst).toMatch(/Flags \[R/);
			expect(again).toMatch(/> 10\.77\.1[123]\.2\.80: Flags \[S\]/);
			expect(ack).toMatch(/10\.77\.1[123]\.2\.80 > .*Flags \[S\.\]/);
			const sequence = (text = "") => /seq (\d+)/.exec(text)?.[1];
			expect(sequence(again)).toBe(sequence(asked));
			const sent = packets.filter(({ bytes }) => bytes.readUInt16BE(14 + 20 + 2) === 80);
			const states = sent.map(({ bytes }) => checksumOf(bytes));
			// What goes out again was finished by the agent; the rest is as the link wants it.
			expect(states[1]).toBe("finished");
			expect(new Set(states.toSpliced(1, 1))).toEqual(new Set([offload === "on" ? "for the link" : "finished"]));
		});
	}

	test("R25: over a hop that cuts off what stands behind datagrams and blanks unknown TCP options, everything is served; where questions pass, the gateway still gets out of the path", async () => {
		// Before a real link its card has made the checksum; a hop that is handed unfinished ones would see what is on no wire.
		await lab.run("client", ["ethtool", "-K", "eth0", "tx", "off"]);
		const object = join(lab.directory, "strip.o");
		const include = execFileSync("gcc", ["-print-multiarch"], { encoding: "utf8" }).trim();
		execFileSync("clang-16", [
			"-O2",
			"-g",
			"-target",
			"bpf",
			"-idirafter",
			`/usr/include/${include}`,
			"-c",
			join(import.meta.dirname, "strip.bpf.c"),
			"-o",
			object,
		]);
		for (const port of ["client", "b1", "b2", "b3", "gateway"]) {
			await lab.run("router", ["tc", "qdisc", "add", "dev", port, "clsact"]);
			await lab.run("router", [
				"tc",
				"filter",
				"add",
				"dev",
				port,
				"ingress",
				"bpf",
				"direct-action",
				"object-file",
				object,
				"section",
				"tc",
			]);
		}
		await lab.run("router", [
			"nft",
			"table inet strip { chain forward { type filter hook forward priority 0; tcp flags syn reset tcp option 254; udp dport 3575 counter drop; }; }",
		]);
		const services = [named("udp", VIP[4], 53), named("tcp", VIP[4], 53)];
		const agent = await startAgent(lab, sourceOf(4), ...services);
		const capture = await lab.capture("router", "gateway", `src host ${addresses.client.ipv4[0]}`);
		for (let i = 0; i < 10; i++) expect(await dig(lab, 4, i % 2 ? ["+tcp"] : [])).toBe("b1");
		expect(eventsOf(agent).filter((one) => one.event === "redirect")).toEqual([]);
		const shown = (await capture.stop()).filter(({ bytes }) => {
			const { ip } = decodeFrame(bytes);
			return ip?.udp?.option !== undefined || ip?.tcp?.option !== undefined;
		});
		expect(shown, "nothing of it arrives").toEqual([]);
		await agent.stop();

		await lab.run("router", ["nft", "delete table inet strip"]);
		const second = await startAgent(lab, sourceOf(4), ...services);
		expect(await dig(lab, 4)).toBe("b1");
		await redirected(second, `udp ${VIP[4]}:53`);
		expect(await dig(lab, 4)).toBe("b1");
		await second.stop();
		for (const port of ["client", "b1", "b2", "b3", "gateway"])
			await lab.run("router", ["tc", "qdisc", "del", "dev", port, "clsact"]);
	});

	test("R26: forged ICMP errors about a redirected flow, ports guessed, move no client: its target is asked, and answers", async () => {
		const agent = await startAgent(lab, sourceOf(4), named("udp", VIP[4], 53));
		await dig(lab, 4);
		await redirected(agent, `udp ${VIP[4]}:53`);
		const [client] = addresses.client.ipv4;
		expect(await dig(lab, 4, ["-b", `${client}#5555`])).toBe("b1");
		const quoted = ipv4(client, addresses.b1.ipv4, 17, udp(5555, 53, Buffer.alloc(0)));
		const error = Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), quoted]);
		let sum = 0;
		for (let i = 0; i < error.length; i += 2) sum += error.readUInt16BE(i);
		while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
		error.writeUInt16BE(~sum & 0xffff, 2);
		const frame = ethernet(0x0800, ipv4("192.0.2.66", client, 1, error));
		frame.write(
			(await lab.text("client", ["cat", "/sys/class/net/eth0/address"])).trim().replaceAll(":", ""),
			0,
			"hex",
		);
		const options = JSON.stringify({ interface: "client", frames: [frame.toString("hex")], count: 200, pps: 2000 });
		await lab.text("router", [process.execPath, join(import.meta.dirname, "attacker.mjs"), options]);
		for (let i = 0; i < 5; i++) expect(await dig(lab, 4)).toBe("b1");
		await agent.stop();
		expect(eventsOf(agent).filter((one) => one.event === "failover")).toEqual([]);
		const end = eventsOf(agent).find((one) => one.event === "end") as { errors?: number };
		expect(JSON.stringify(end)).toMatch(/"errors":[1-9]/);
	});

	test("R26: an agent that is killed breaks nothing: connections go on, new packets take the gateway; the next one takes over", async () => {
		const bulk = "203.0.113.78";
		const services = [named("tcp", bulk, 5202), named("udp", VIP[4], 53)];
		const agent = await startAgent(lab, sourceOf(4), ...services);
		const iperf = (seconds: number) => ["iperf3", "--client", bulk, "--port", "5202", "--time", `${seconds}`] as const;
		await lab.run("client", [...iperf(1)]);
		await dig(lab, 4);
		await redirected(agent, `tcp ${bulk}:5202`);
		await redirected(agent, `udp ${VIP[4]}:53`);
		const long = lab.run("client", [...iperf(6), "--json"], { timeoutMs: 20_000 });
		await until("packets to go straight", async () => {
			return (await lab.text("client", ["ss", "-Htn", "dst", bulk])).includes("ESTAB");
		});
		await agent.stop("SIGKILL");
		const { end } = JSON.parse((await long).stdout);
		expect(end.sum_received.seconds).toBeGreaterThan(5);
		expect(end.sum_received.bits_per_second).toBeGreaterThan(20e6);
		const wire = await lab.capture("client", "eth0", `host ${VIP[4]}`);
		expect(await dig(lab, 4)).toBe("b1");
		expect((await wire.atLeast(2)).length).toBe(2);
		await wire.stop();
		await (await startAgent(lab, sourceOf(4), ...services)).stop();
	});

	test("R26: an agent that ends waits for the connections that it has redirected, and redirects no new flow meanwhile; a second signal ends it at once", async () => {
		const bulk = "203.0.113.78";
		const services = [named("tcp", bulk, 5202), named("udp", VIP[4], 53)];
		const iperf = ["iperf3", "--client", bulk, "--port", "5202", "--json", "--time"] as const;
		for (const signals of [1, 2]) {
			const agent = await startAgent(lab, sourceOf(4), ...services);
			await lab.run("client", [...iperf, "1"]);
			await dig(lab, 4);
			await redirected(agent, `tcp ${bulk}:5202`);
			await redirected(agent, `udp ${VIP[4]}:53`);
			const long = lab.run("client", [...iperf, "3"], { timeoutMs: 20_000, mayFail: true });
			await until("the connections to open", async () => {
				const open = await lab.text("client", ["ss", "-Htn", "dst", bulk]);
				return open.split("\n").filter((line) => line.startsWith("ESTAB")).length === 2;
			});
			const ended = agent.stop();
			await agent.saysOnStdout(/"event":"draining","connections":2/);
			if (signals === 2) {
				expect(await agent.stop()).toBe(0);
				// iperf3's server waits for the broken ones yet: so this comes last.
				expect(eventsOf(agent)).toContainEqual({ event: "broken", connections: 2 });
				await long;
				continue;
			}
			const wire = await lab.capture("client", "eth0", `host ${VIP[4]}`);
			expect(await dig(lab, 4)).toBe("b1");
			await wire.atLeast(2);
			await wire.stop();
			expect(JSON.parse((await long).stdout).end.sum_received.bits_per_second).toBeGreaterThan(20e6);
			expect(await ended).toBe(0);
			expect(eventsOf(agent).filter(({ event }) => event === "broken")).toEqual([]);
		}
	});
});
