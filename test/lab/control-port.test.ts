// control-port.test.ts - what is configured of a gateway's answers to redirecting clients holds on the wire: port and limits.

import { describe, expect, test } from "vitest";
import { parseAddress } from "../../src/config/index.js";
import { CONTROL_SIZE, decodeControl, encodeControl, encodeHeader, FLAG, formatAddress } from "../../src/wire/index.js";
import { type Cluster, ENGINES, labConfig, useCluster } from "./cluster.js";
import { addresses, isRoot, type Lab, until } from "./lab.js";

const [seven, , nine] = addresses.client.ipv4;
const VIP = "203.0.113.53";
const PORT = 4000;
const NONCE = 0x0123456789abcdefn;
const CONFIG = labConfig([
	"\nsessions:",
	`\n  controlPort: ${PORT}\n  indications: { source: 1, burst: 3 }\nsessions:`,
]);

/** A capability signal for the service: it asks for its redirection. */
const question = encodeControl(
	encodeHeader({
		type: "capability",
		flags: 0,
		port: 0,
		lease: 0,
		hops: 0,
		keyId: 0,
		issued: 0,
		nonce: NONCE,
		address: new Uint8Array(16),
		tag: 0n,
	}),
	{ protocol: 17, port: 53, address: parseAddress(VIP)!.bytes },
	undefined,
	CONTROL_SIZE,
);

describe.skipIf(!isRoot).each(ENGINES)("the control port, engine %s", (engine) => {
	let lab: Lab;
	let cluster: Cluster;

	useCluster({ engine, config: CONFIG, members: ["gateway"] }, (running) => {
		({ lab, cluster } = running);
	});

	/** Sends so many datagrams from one socket; what it hears goes to its standard output. */
	const send = (from: string, port: number, payload: Uint8Array, times: number) =>
		lab.start("client", [
			process.execPath,
			"-e",
			`const socket = require("node:dgram").createSocket("udp4");
			socket.on("message", (message) => console.log("heard", message.toString("hex")));
			socket.on("error", ({ code }) => console.log(code));
			socket.bind(0, "${from}", () => socket.connect(${port}, "${VIP}", () => {
				for (let i = 0; i < ${times}; i++) socket.send(Buffer.from("${Buffer.from(payload).toString("hex")}", "hex"));
			}));`,
		]);
	const heard = (stdout: string) =>
		[...stdout.matchAll(/^heard (\w+)$/gm)].map(([, hex]) => decodeControl(Buffer.from(hex as string, "hex")));
	const counted = async (...names: string[]) => {
		const reasons = await cluster.reasons("gateway");
		return names.map((name) => reasons[name] ?? 0);
	};

	test("R4 R7 R24: who asks there is told where to go, so often as is configured and no more", async () => {
		const asked = 20;
		const began = performance.now();
		const asking = send(seven, PORT, question, asked);
		await until("every question to be counted", async () => {
			const [answered = 0, limited = 0] = await counted("answered", "limited");
			return answered + limited === asked;
		});
		const [answered = 0] = await counted("answered");
		expect(answered).toBeGreaterThanOrEqual(3);
		// One more a second.
		expect(answered).toBeLessThanOrEqual(4 + Math.ceil((performance.now() - began) / 1000));
		await until("the client to hear all answers", () => heard(asking.stdout).length === answered);
		await asking.stop();
		for (const answer of heard(asking.stdout)) {
			const header = answer?.header.ok ? answer.header.header : undefined;
			expect(header).toMatchObject({ type: "redirect", lease: 60, port: 53, nonce: NONCE });
			expect(header?.flags).toBe(FLAG.redirect | FLAG.leased);
			expect(formatAddress(header?.address ?? new Uint8Array(16))).toBe(addresses.b1.ipv4);
			expect(answer?.about).toMatchObject({ protocol: 17, port: 53 });
		}
	});

	test("R24: whom no rule redirects is told to stay, and what is too short to be answered is not", async () => {
		const asking = send(nine, PORT, question, 1);
		await asking.saysOnStdout(/^heard/m);
		await asking.stop();
		const [answer] = heard(asking.stdout);
		expect(answer?.header).toMatchObject({ ok: true, header: { type: "redirect", flags: 0, nonce: NONCE } });

		const [before = 0] = await counted("control_bad");
		const short = send(nine, PORT, question.subarray(0, CONTROL_SIZE - 1), 1);
		await until("it to be refused", async () => (await counted("control_bad"))[0] === before + 1);
		await short.stop();
		expect(short.stdout, "neither answered nor refused by this host's kernel").toBe("");
	});

	test("the default port is then closed: this host's kernel refuses packets to it", async () => {
		const asking = send(seven, 3575, Buffer.from("is it closed?"), 1);
		await asking.saysOnStdout(/^ECONNREFUSED$/m);
		await asking.stop();
	});
});
