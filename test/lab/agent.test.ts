// agent.test.ts - R26 over real packets: applications that know nothing of redirections, under `shunt client`.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLI, Cluster } from "./cluster.js";
import { addresses, isRoot, Lab, type LabProcess, until } from "./lab.js";

const VIP = { 4: "203.0.113.53", 6: "2001:db8:53::53" } as const;

/** The agent on the lab's client, ready. */
async function startAgent(lab: Lab, services: readonly string[], more: readonly string[] = []): Promise<LabProcess> {
	const program = lab.start("client", [
		...[process.execPath, CLI, "client", "--json", "-i", "eth0", "--service", ...services],
		...["--target-prefix", "10.77.0.0/16", "fd77::/16", ...more],
	]);
	await program.saysOnStdout(/"event":"ready"/);
	return program;
}

function events(program: LabProcess): Record<string, unknown>[] {
	return program.stdout
		.split("\n")
		.filter((line) => line.startsWith("{"))
		.map((line) => JSON.parse(line));
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

describe.skipIf(!isRoot)("applications under the agent", () => {
	let lab: Lab;
	let cluster: Cluster;

	beforeAll(async () => {
		lab = await Lab.up({ services: true });
		cluster = await Cluster.start(lab, { engine: "user" });
	});
	afterAll(async () => {
		await cluster?.stop();
		await lab?.down();
	});

	for (const family of [4, 6] as const) {
		const service = family === 4 ? `${VIP[4]}:53` : `[${VIP[6]}]:53`;
		const source = family === 4 ? addresses.client.ipv4[0] : addresses.client.ipv6[0];
		test(`R26: dig over IPv${family}: asked once, then straight to the backend, by UDP and by TCP; a clean end leaves nothing`, async () => {
			const before = await hooks(lab);
			const agent = await startAgent(lab, [`udp/${service}`, `tcp/${service}`], ["--source", source]);
			for (const [protocol, options] of [
				["udp", []],
				["tcp", ["+tcp"]],
			] as const) {
				expect(await dig(lab, family, options)).toBe("b1");
				await until(`${protocol} to be redirected`, () =>
					events(agent).some((one) => one.event === "redirect" && one.service === `${protocol} ${service}`),
				);
				const wire = await lab.capture("client", "eth0", `host ${source} and port 53 or port 5353`);
				expect(await dig(lab, family, options)).toBe("b1");
				expect(await dig(lab, family, options)).toBe("b1");
				await wire.atLeast(4);
				await wire.stop();
				const printed = await wire.print("-vv");
				expect(printed).not.toContain(`> ${VIP[family]}.`);
				expect(printed).toContain(`> ${family === 4 ? addresses.b1.ipv4 : addresses.b1.ipv6}.`);
			}
			expect(await agent.stop()).toBe(0);
			expect(events(agent).filter((one) => one.event === "end")).toHaveLength(2);
			expect(await hooks(lab)).toBe(before);
			expect(await dig(lab, family)).toBe("b1");
		});
	}
});
