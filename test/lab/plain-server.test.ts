// plain-server.test.ts - clients with the capability before a server that has never heard of it: no gateway, no daemon, an unmodified dnsmasq
// and nginx at their own address. Everything is served as ever.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CLI } from "./cluster.js";
import { addresses, isRoot, Lab } from "./lab.js";

const SERVER = addresses.b3.ipv4;
const [CLIENT] = addresses.client.ipv4;

describe.skipIf(!isRoot)("a server without the capability", () => {
	let lab: Lab;

	beforeAll(async () => {
		lab = await Lab.up({ services: true });
	});
	afterAll(() => lab?.down());

	const program = async (ask: object) => {
		const options = {
			from: CLIENT,
			service: SERVER,
			count: 30,
			gapMs: 5,
			redirection: { targets: ["10.77.0.0/16"] },
			...ask,
		};
		const client = lab.start("client", [
			process.execPath,
			join(import.meta.dirname, "client-program.mjs"),
			JSON.stringify(options),
		]);
		expect(await client.ended, client.stderr).toBe(0);
		return client.stdout
			.trimEnd()
			.split("\n")
			.map((line) => JSON.parse(line));
	};

	test.each([
		["dns", 53],
		["http", 80],
	])(
		"the library, %s: served by it from the first exchange to the last, and asked thrice at most",
		async (kind, port) => {
			const lines = await program({ kind, port });
			const exchanges = lines.filter((line) => "i" in line);
			expect(exchanges).toHaveLength(30);
			for (const { who, way } of exchanges) expect([who, way]).toEqual(["b3", "gateway"]);
			expect(lines.at(-1).counters.questions).toBeLessThanOrEqual(3);
			expect(lines.at(-1).counters.redirects).toBe(0);
		},
	);

	test("the agent: datagrams with the option behind them, and SYNs with it, are taken by dnsmasq as any other", async () => {
		const wire = await lab.capture("router", "b3", `dst host ${SERVER} and port 53`);
		const agent = lab.start("client", [
			process.execPath,
			...[CLI, "client", "--json", "-i", "eth0", "--source", CLIENT],
			...["--service", `udp/${SERVER}:53`, `tcp/${SERVER}:53`, "--target-prefix", "10.77.0.0/16"],
		]);
		await agent.saysOnStdout(/"event":"ready"/);
		for (const options of [[], ["+tcp"], [], ["+tcp"]]) {
			const answer = await lab.text("client", [
				"dig",
				"+short",
				"+time=2",
				"+tries=1",
				"-b",
				CLIENT,
				...options,
				`@${SERVER}`,
				"whoami.lab",
				"TXT",
			]);
			expect(answer).toContain("b3");
		}
		await agent.stop();
		await wire.stop();
		const printed = await wire.print("-vv", "-X");
		expect(printed).toMatch(/exp-5352|unknown-254|exid/i);
		expect(printed).not.toMatch(/bad udp cksum|incorrect/);
		expect(agent.stdout).not.toContain('"event":"redirect"');
	});
});
