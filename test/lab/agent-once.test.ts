// agent-once.test.ts - R6, R26: redirects for one flow (term once) under `shunt client`, by unmodified programs.

import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeFrame } from "../../src/wire/index.js";
import { eventsOf, startAgent } from "./agent-program.js";
import { type Cluster, ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, type LabProcess, until } from "./lab.js";

const ECHO = { 4: "203.0.113.77", 6: "2001:db8:53::77" } as const;
const ECHO_PROGRAM = join(import.meta.dirname, "agent-echo.mjs");
const BACKENDS = ["b1", "b2", "b3"] as const;
type Backend = (typeof BACKENDS)[number];
const MORE = `
services:
  echo:
    address: [${ECHO[4]}, "${ECHO[6]}"]
    port: 7777
    protocol: [udp, tcp]
    backends: [b1, b2]
    redirect: { clients: true, term: once }
    sources:
      - { from: 198.51.100.9, backends: [b1, b2], redirect: { clients: true, term: once, answer: indicate } }
`;

/** A process may take long to start on a loaded machine. */
const START_MS = 60_000;
/** And so may what follows from its packets. */
const WAIT_MS = 30_000;
const TEST_MS = 180_000;

describe.skipIf(!isRoot).each(ENGINES)("redirects for one flow under the agent, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;
	const echoes = new Map<Backend, LabProcess>();

	async function startEcho(host: Backend): Promise<void> {
		const { ipv4, ipv6 } = addresses[host];
		// biome-ignore format: one option per line would hide the command
		const echo = lab.start(host, [process.execPath, ECHO_PROGRAM, "serve", "7777", host, ipv4, ipv6, ECHO[4], ECHO[6]]);
		await echo.saysOnStdout(/ready/, START_MS);
		echoes.set(host, echo);
	}

	const health = ["health: { slowStart: 0ms }", "health: { slowStart: 0ms, hold: 100ms }"] as const;
	const config = labConfig(["\nservices:\n", MORE], health);
	useCluster({ engine, config, services: false }, (running) => {
		({ lab, cluster } = running);
	});
	beforeAll(() => Promise.all([startEcho("b1"), startEcho("b2")]));

	const events = (agent: LabProcess, name: string) => eventsOf(agent).filter((one) => one.event === name);
	const hostOf = (text: unknown) =>
		BACKENDS.find((host) => `${text}`.includes(addresses[host].ipv4) || `${text}`.includes(addresses[host].ipv6));

	for (const family of [4, 6] as const) {
		const [source] = family === 4 ? addresses.client.ipv4 : addresses.client.ipv6;
		const service = family === 4 ? `${ECHO[4]}:7777` : `[${ECHO[6]}]:7777`;

		test(
			`R6 R22 R26: over IPv${family} a redirect holds for one UDP flow; another flow begins at the gateway and asks for itself, also after its target has failed`,
			async () => {
				const agent = await startAgent(lab, source, `udp/${service}`);
				// biome-ignore format: one option per line would hide the command
				const start = () => lab.start("client", [process.execPath, ECHO_PROGRAM, "ask", ECHO[family], "7777", "10"]);
				const wire = await lab.capture("client", "eth0", "udp and port 7777 and not icmp");
				const first = start();
				await until("the first flow's redirect", () => events(agent, "redirect").length === 1, WAIT_MS);
				await until("its packets", () => first.stdout.split("\n").length > 60, WAIT_MS);
				const second = start();
				await until("the second flow's redirect", () => events(agent, "redirect").length === 2, WAIT_MS);
				await until("its packets", () => second.stdout.split("\n").length > 60, WAIT_MS);
				const flows = events(agent, "redirect").map(({ flow, term, target }) => ({ flow, term, host: hostOf(target) }));
				expect(flows.map(({ term }) => term)).toEqual(["once", "once"]);
				expect(new Set(flows.map(({ flow }) => flow)).size).toBe(2);
				const packets = (await wire.stop()).map(({ bytes }) => decodeFrame(bytes).ip);
				for (const { flow, host } of flows) {
					const port = Number(/:(\d+)$/.exec(String(flow))?.[1]);
					const sent = packets
						.filter((ip) => ip?.udp?.sourcePort === port)
						.map((ip) => hostOf(ip?.destination) ?? "gateway");
					expect(sent[0], "a new flow begins at the gateway").toBe("gateway");
					expect(sent.slice(sent.indexOf(host as Backend)).filter((to) => to !== host)).toEqual([]);
				}

				const failed = flows[0]?.host as Backend;
				await echoes.get(failed)?.stop();
				const other = failed === "b1" ? "b2" : "b1";
				for (const flow of [first, second])
					await until(`answers of ${other}`, () => flow.stdout.trimEnd().endsWith(` ${other}`), WAIT_MS);
				await until("a failover", () => events(agent, "failover").length > 0, WAIT_MS);
				await until(
					"another redirect of the flow that failed",
					() =>
						events(agent, "redirect").some(({ flow, target }) => flow === flows[0]?.flow && hostOf(target) === other),
					WAIT_MS,
				);
				await startEcho(failed);
				await first.stop();
				await second.stop();
				await agent.stop();
				expect(events(agent, "end")[0]).toMatchObject({ counters: { onceUnused: 0 } });
				await cluster.healthy();
			},
			TEST_MS,
		);

		test(
			`R6 R22 R26: over IPv${family} a redirect holds for one TCP connection, the next one; a target that refuses it is left for another`,
			async () => {
				const agent = await startAgent(lab, source, `tcp/${service}`);
				const curl = () => lab.text("client", ["curl", "-sS", "--max-time", "15", `http://${service}/`]);
				const syn =
					family === 4 ? "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn" : "ip6[6] == 6 and ip6[53] & 0x12 == 2";
				const wire = await lab.capture("client", "eth0", `dst port 7777 and ${syn}`);
				for (let round = 1; round <= 2; round++) {
					await curl();
					await until("a redirect", () => events(agent, "redirect").length === round, WAIT_MS);
					expect(await curl()).toBe(hostOf(events(agent, "redirect").at(-1)?.target));
				}
				const opened = (await wire.stop()).map(({ bytes }) => hostOf(decodeFrame(bytes).ip?.destination) ?? "gateway");
				const targets = events(agent, "redirect").map(({ target }) => hostOf(target));
				expect(opened).toEqual(["gateway", targets[0], "gateway", targets[1]]);

				await curl();
				await until("a redirect", () => events(agent, "redirect").length === 3, WAIT_MS);
				const failed = hostOf(events(agent, "redirect")[2]?.target) as Backend;
				await echoes.get(failed)?.stop();
				expect(await curl()).toBe(failed === "b1" ? "b2" : "b1");
				await until("a failover", () => events(agent, "failover").length === 1, WAIT_MS);
				await startEcho(failed);
				await agent.stop();
				await cluster.healthy();
			},
			TEST_MS,
		);
	}

	test(
		"R6 R24 R26: where the gateway answers a SYN by a redirect for one flow, each connection goes straight to its target",
		async () => {
			const source = "198.51.100.9";
			const agent = await startAgent(lab, source, `tcp/${ECHO[4]}:7777`);
			for (let round = 1; round <= 3; round++) {
				const curl = ["curl", "-sS", "--interface", source, "--max-time", "15", `http://${ECHO[4]}:7777/`] as const;
				const answer = await lab.text("client", curl);
				await until("a redirect", () => events(agent, "redirect").length === round, WAIT_MS);
				expect(answer).toBe(hostOf(events(agent, "redirect").at(-1)?.target));
			}
			await agent.stop();
		},
		TEST_MS,
	);
});
