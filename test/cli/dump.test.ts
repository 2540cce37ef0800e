// dump.test.ts - `shunt dump`: pcap files of every kind in, lines and files out.

import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeHeader, FLAG, type Header, headerTag, mapped } from "../../src/wire/index.js";
import { ethernet, geneve, ipv4, pcap, udp } from "../wire/pcap.js";
import { has, root, type Said, shunt } from "./cli.js";

const KEY = Buffer.from("4c61624b65794f66536861756e740001", "hex"); // examples/lab.yaml's, which is public
const CONFIG = "examples/lab.yaml";
const CLIENT = "198.51.100.7";
const SERVICE = "203.0.113.53";

/** A forwarded datagram, its header's tag made with the given key. */
function forwarded(keyId: number, key: Uint8Array): Buffer {
	const bytes = (text: string) => mapped(text.split(".").map(Number));
	const header: Header = {
		type: "forward",
		flags: FLAG.redirect | FLAG.leased,
		port: 53,
		lease: 60,
		hops: 0,
		keyId,
		issued: 1_700_000_000,
		nonce: 0n,
		address: bytes("10.77.11.2"),
		tag: 0n,
	};
	const flow = {
		family: 4 as const,
		source: bytes(CLIENT),
		destination: bytes(SERVICE),
		sourcePort: 5000,
		destinationPort: 53,
		protocol: 17,
	};
	const inner = ipv4(CLIENT, SERVICE, 17, udp(5000, 53, Buffer.from("question")));
	const tunnel = geneve(encodeHeader({ ...header, tag: headerTag(header, flow, key) }), inner);
	return ethernet(0x0800, ipv4("10.77.2.2", "10.77.11.2", 17, udp(50_000, 6081, tunnel)));
}

const plain = ethernet(0x0800, ipv4(CLIENT, SERVICE, 17, udp(5000, 53, Buffer.from("question"))));
const right = forwarded(1, KEY);
const wrong = forwarded(1, Buffer.alloc(16, 7));
const foreign = forwarded(9, KEY);

/** The same file in the other byte order, in nanoseconds, or of another link type. */
interface VariantOptions {
	big?: boolean;
	nanoseconds?: boolean;
	linktype?: number;
}

function variant(frames: readonly Uint8Array[], options: VariantOptions): Buffer {
	const { big = false, nanoseconds = false, linktype = 1 } = options;
	const words = (values: number[]) => {
		const out = Buffer.alloc(values.length * 4);
		for (const [i, value] of values.entries()) big ? out.writeUInt32BE(value, i * 4) : out.writeUInt32LE(value, i * 4);
		return out;
	};
	const version = big ? 0x00020004 : 0x00040002;
	const head = words([nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, version, 0, 0, 65_535, linktype]);
	const fraction = nanoseconds ? 123_456_789 : 123_456;
	const records = frames.map((frame) =>
		Buffer.concat([words([1_700_000_000, fraction, frame.length, frame.length]), frame]),
	);
	return Buffer.concat([head, ...records]);
}

const PLAIN = `IP ${CLIENT}.5000 > ${SERVICE}.53: UDP, length 8`;

describe("shunt dump -r", () => {
	let folder: string;
	let file: (name: string, bytes: Uint8Array) => string;
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), "shunt-dump-"));
		file = (name, bytes) => {
			writeFileSync(join(folder, name), bytes);
			return join(folder, name);
		};
	});
	afterAll(() => rmSync(folder, { recursive: true, force: true }));

	test("a line for each packet, with the redirection header and the verdict on its tag", async () => {
		const packets = file("tags.pcap", pcap([plain, right, wrong, foreign]));
		const { status, stdout, stderr } = await shunt(["dump", "-r", packets, "--config", CONFIG]);
		expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		const lines = stdout.trimEnd().split("\n");
		expect(lines[0]).toBe(`22:13:20.000000 ${PLAIN}`);
		expect(lines[1]).toMatch(
			/^22:13:21\.000000 IP 10\.77\.2\.2\.50000 > 10\.77\.11\.2\.6081: Geneve, redirect-header forward target 10\.77\.11\.2:53 redirect leased 60 s key 1 issued 1700000000 tag [0-9a-f]{16} \| IP 198\.51\.100\.7\.5000 > 203\.0\.113\.53\.53: UDP, length 8, tag ok$/,
		);
		expect(lines[2]).toMatch(/, tag WRONG$/);
		expect(lines[3]).toMatch(/, tag unverified \(no key 9\)$/);
		expect(lines).toHaveLength(4);
		const without = await shunt(["dump", "-r", packets]);
		expect(without.stdout.match(/, tag unverified$/gm)).toHaveLength(3);
	});

	test.each([
		["little endian, microseconds", {}, "22:13:20.123456", plain],
		["big endian, microseconds", { big: true }, "22:13:20.123456", plain],
		["little endian, nanoseconds", { nanoseconds: true }, "22:13:20.123456", plain],
		["big endian, nanoseconds", { big: true, nanoseconds: true }, "22:13:20.123456", plain],
		["raw IP", { linktype: 101 }, "22:13:20.123456", plain.subarray(14)],
		["Linux cooked", { linktype: 113 }, "22:13:20.123456", cooked(16, 14, plain)],
		["Linux cooked, version 2", { linktype: 276 }, "22:13:20.123456", cooked(20, 0, plain)],
	])("%s", async (name, options, time, frame) => {
		const packets = file(`${name}.pcap`, variant([frame], options));
		expect((await shunt(["dump", "-r", packets])).stdout).toBe(`${time} ${PLAIN}\n`);
	});

	test("-x prints the bytes from the IP header on, like tcpdump; -c stops early; - is standard input", async () => {
		const said = await shunt(["dump", "-r", "-", "-x", "-c", "1"], { input: pcap([plain, right]) });
		expect(said.stdout.split("\n")[1]).toMatch(/^\t0x0000: {2}4500 0024 0000 0000 4011 [0-9a-f]{4} c633 6407$/);
		expect(said.stdout.match(/^\d\d:/gm)).toHaveLength(1);
	});

	test("--json: one object for each packet, the header with names", async () => {
		const { stdout } = await shunt([
			"dump",
			"-r",
			file("json.pcap", pcap([plain, right])),
			"--json",
			"--config",
			CONFIG,
		]);
		const [first, second] = stdout
			.trimEnd()
			.split("\n")
			.map((line) => JSON.parse(line));
		expect(first).toMatchObject({ time: "2023-11-14T22:13:20.000000000Z", length: 50, captured: 50 });
		expect(first.ip.udp).toMatchObject({ sourcePort: 5000, destinationPort: 53, length: 8 });
		expect(first).not.toHaveProperty("tag");
		expect(second.tag).toBe("ok");
		expect(second.ip.udp.geneve.header).toMatchObject({
			ok: true,
			header: {
				type: "forward",
				target: "10.77.11.2:53",
				flags: ["redirect", "leased"],
				lease: 60,
				keyId: 1,
				nonce: "0000000000000000",
				tag: expect.stringMatching(/^[0-9a-f]{16}$/),
			},
		});
		expect(second.ip.udp.geneve.inner).toMatchObject({ source: CLIENT, destination: SERVICE });
	});

	test.each<[string, VariantOptions]>([
		["microseconds", {}],
		["nanoseconds", { nanoseconds: true }],
		["raw IP", { linktype: 101 }],
	])("-w writes the same packets, byte for byte (%s)", async (name, options) => {
		const frames = options.linktype === 101 ? [plain.subarray(14)] : [plain, right];
		const packets = file(`in-${name}.pcap`, variant(frames, options));
		const out = join(folder, `out-${name}.pcap`);
		const { status, stdout, stderr } = await shunt(["dump", "-r", packets, "-w", out]);
		expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
		expect(stderr).toMatch(/^[12] packets? written to /);
		expect(readFileSync(out).subarray(24)).toEqual(readFileSync(packets).subarray(24));
		expect(readFileSync(out).subarray(20, 24)).toEqual(readFileSync(packets).subarray(20, 24));
	});

	test("the output of -w - can be read by -r -", async () => {
		const packets = file("pipe.pcap", pcap([plain]));
		const written = execFileSync(process.execPath, [join(root, "dist/cli/main.js"), "dump", "-r", packets, "-w", "-"]);
		expect((await shunt(["dump", "-r", "-"], { input: written })).stdout).toContain(PLAIN);
	});

	test("--filter, through libpcap", async () => {
		const packets = file("filter.pcap", pcap([plain, right, plain]));
		const said = await shunt(["dump", "-r", packets, "--filter", "udp port 6081"]);
		expect(said.stdout.trimEnd().split("\n")).toHaveLength(1);
		expect(said.stdout).toContain("redirect-header");
		const bad = await shunt(["dump", "-r", packets, "--filter", "udp prot 6081"]);
		expect(bad.status).not.toBe(0);
		expect(bad.stderr).toContain("udp prot 6081");
	});

	test.runIf(has("editcap"))("pcapng, through libpcap; from standard input it is refused", async () => {
		const packets = join(folder, "x.pcapng");
		execFileSync("editcap", ["-F", "pcapng", file("x.pcap", pcap([plain, right])), packets]);
		const { status, stdout } = await shunt(["dump", "-r", packets, "--config", CONFIG]);
		expect(status).toBe(0);
		expect(stdout.split("\n")[0]).toBe(`22:13:20.000000 ${PLAIN}`);
		expect(stdout).toMatch(/, tag ok$/m);
		const piped = await shunt(["dump", "-r", "-"], { input: readFileSync(packets) });
		expect(piped.status).toBe(2);
		expect(piped.stderr).toContain("pcapng is read from files only");
	});

	test.runIf(has("tcpdump"))("tcpdump reads what -w wrote, and finds the same packets", async () => {
		const out = join(folder, "witness.pcap");
		await shunt(["dump", "-r", file("w.pcap", variant([plain, right], { nanoseconds: true })), "-w", out]);
		const printed = execFileSync("tcpdump", ["-n", "--nano", "-r", out], {
			env: { ...process.env, TZ: "UTC" },
			stdio: "pipe",
		}).toString();
		expect(printed.split("\n")[0]).toContain(`22:13:20.123456789 IP ${CLIENT}.5000 > ${SERVICE}.53`);
		expect(printed).toContain("Geneve");
	});

	test.each([
		["nothing at all", Buffer.alloc(0), "it is too short"],
		["a text", Buffer.from("this is no capture, but a text"), "it has no pcap or pcapng header"],
		["a truncated header", pcap([]).subarray(0, 20), "it ends within its header"],
		["a packet cut off", pcap([plain]).subarray(0, 60), "it ends within packet 1"],
		["a record cut off", Buffer.concat([pcap([plain]), Buffer.alloc(7)]), "it ends within packet 2"],
		["an invalid length", Buffer.concat([pcap([]), Buffer.alloc(16, 0xff)]), "the length of packet 1 is invalid"],
		["an unknown link type", variant([plain], { linktype: 105 }), "its link type 105 is not supported"],
	])("%s is refused in one sentence", async (name, bytes, why) => {
		const packets = file(`${name}.pcap`, bytes);
		const { status, stderr } = await shunt(["dump", "-r", packets]);
		expect(status).toBe(2);
		expect(stderr.split("\n")[0]).toBe(`shunt: ${packets} cannot be read as a capture: ${why}.`);
	});

	test("a missing file, a missing interface and a missing directory", async () => {
		const none = await shunt(["dump", "-r", join(folder, "none")]);
		expect(none.stderr).toContain("there is no such file");
		expect(none.status).toBe(2);
		const filtered = await shunt(["dump", "-r", join(folder, "none"), "--filter", "udp"]);
		expect(filtered.stderr).toContain("there is no such file");
		const link = await shunt(["dump", "-i", "nosuch0"]);
		expect(link.stderr).toContain("This host has no interface nosuch0.");
		expect(link.status).toBe(3);
		const out = await shunt(["dump", "-r", file("o.pcap", pcap([plain])), "-w", join(folder, "no/where.pcap")]);
		expect(out.stderr).toContain("where.pcap cannot be written: its directory does not exist.");
		expect(out.status).toBe(2);
	});
});

function cooked(length: number, protocolAt: number, frame: Buffer): Buffer {
	const head = Buffer.alloc(length);
	head.writeUInt16BE(0x0800, protocolAt);
	return Buffer.concat([head, frame.subarray(14)]);
}

describe.runIf(process.getuid?.() === 0)("shunt dump -i", () => {
	test("live, with a filter, up to the count; then to a file, until interrupted", async () => {
		const said = await whileSending(["dump", "-i", "lo", "--filter", `udp port ${LIVE}`, "-c", "1"]);
		expect(said.stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{6} IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.49321: UDP, length 4\n$/);
		expect(said.stderr).toMatch(/^listening on lo\n1 packet captured, 0 dropped by the kernel/);
		const bad = await shunt(["dump", "-i", "lo", "--filter", "udp prot 1"]);
		expect(bad.status).not.toBe(0);
		expect(bad.stderr).toContain("udp prot 1");
	});

	test("an interrupt ends it, with everything written", async () => {
		const out = join(mkdtempSync(join(tmpdir(), "shunt-live-")), "live.pcap");
		const said = await whileSending(["dump", "-i", "lo", "--filter", `udp port ${LIVE}`, "-w", out], {
			interruptWhen: () => existsSync(out) && statSync(out).size > 24,
		});
		expect(said.status).toBe(0);
		expect(said.stderr).toMatch(/packets? written to .*live\.pcap\n\d+ packets? captured/);
		expect((await shunt(["dump", "-r", out])).stdout).toContain(`127.0.0.1.${LIVE}: UDP, length 4`);
		rmSync(join(out, ".."), { recursive: true });
	});
});

const LIVE = 49_321;

/** Runs the command to its end, with a datagram now and then for it to see. */
function whileSending(words: string[], options: { interruptWhen?: () => boolean } = {}): Promise<Said> {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), ...words]);
		const said = { stdout: "", stderr: "" };
		child.stdout.setEncoding("utf8").on("data", (text) => {
			said.stdout += text;
		});
		child.stderr.setEncoding("utf8").on("data", (text) => {
			said.stderr += text;
		});
		let interrupted = false;
		const socket = createSocket("udp4");
		const timer = setInterval(() => {
			socket.send("ping", LIVE, "127.0.0.1");
			if (!interrupted && options.interruptWhen?.()) interrupted = child.kill("SIGINT"); // a second one would be hard
		}, 20);
		child.on("close", (status) => {
			clearInterval(timer);
			socket.close();
			resolve({ status: status ?? -1, ...said });
		});
	});
}
