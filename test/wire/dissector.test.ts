// The header as other programs decode it: tshark with our dissector, field by field, and tcpdump without it.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeControl, encodeReset, encodeTcpCapability, FLAG } from "../../src/wire/index.js";
import { ethernet, geneve, ipv4, pcap, tcp, udp } from "./pcap.js";
import { bytesOf, type Vector, vectors } from "./vectors.js";

const script = fileURLToPath(new URL("../../scripts/dissector/shunt.lua", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "shunt-dissector-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Geneve counts options in words of four bytes; a header of another length is only possible in a control datagram.
const inGeneve = vectors.filter((v) => v.hex.length % 8 === 0);
const inner = ipv4("198.51.100.7", "203.0.113.53", 17, udp(5000, 53, Buffer.alloc(40)));

const FIELDS = [
	"version",
	"type",
	"flags",
	"port",
	"lease",
	"hops",
	"key",
	"issued_s",
	"nonce",
	"address",
	"address6",
	"alternative",
	"alternative6",
	"alternative_port",
	"tag",
	"reason",
	"flags.redirect",
	"flags.permanent",
	"flags.once",
	"flags.leased",
	"flags.failure",
	"flags.packet",
	"flags.ipv6",
	"flags.alternative",
] as const;

function tshark(file: string, ...args: string[]): string {
	const done = spawnSync("tshark", ["-X", `lua_script:${script}`, "-r", file, ...args], { encoding: "utf8" });
	expect(done.stderr).not.toMatch(/lua.*error|Lua Error/i);
	expect(done.status, done.stderr).toBe(0);
	return done.stdout;
}

function rows(file: string): Record<string, string>[] {
	const selected = FIELDS.flatMap((name) => ["-e", `shunt.${name}`]);
	const extra = ["-e", "_ws.expert.message", "-e", "udp.dstport", "-e", "_ws.lua.error"];
	const lines = tshark(file, "-T", "fields", "-E", "separator=|", ...selected, ...extra)
		.trimEnd()
		.split("\n");
	const names = [...FIELDS, "expert", "ports", "lua"];
	return lines.map((line) => Object.fromEntries(line.split("|").map((value, i) => [names[i], value])));
}

function capture(name: string, frames: Uint8Array[]): string {
	const file = join(folder, name);
	writeFileSync(file, pcap(frames));
	return file;
}

describe("tshark with the dissector", () => {
	let seen: Record<string, string>[] = [];
	const frames = inGeneve.map((vector) =>
		ethernet(0x0800, ipv4("10.0.1.2", "10.0.2.11", 17, udp(34567, 6081, geneve(bytesOf(vector.hex), inner)))),
	);
	const file = capture("geneve.pcap", frames);
	beforeAll(() => {
		seen = rows(file);
	});

	test("R1 R3 R4: shows every field of every accepted vector", () => {
		expect(seen).toHaveLength(inGeneve.length);
		for (const [i, vector] of inGeneve.entries()) {
			const row = seen[i] ?? {};
			expect(row.lua, vector.name).toBe("");
			if (vector.fields !== undefined) check(row, vector);
		}
	});

	test("shows every refused vector's reason as expert info", () => {
		for (const [i, vector] of inGeneve.entries()) {
			if (vector.reason === undefined) continue;
			expect(seen[i]?.reason, vector.name).toBe(vector.reason);
			expect(seen[i]?.expert, vector.name).toContain(`Refused: ${vector.reason}`);
		}
	});

	test("R1: leaves the inner packet to Wireshark's own dissectors", () => {
		for (const row of seen) expect(row.ports).toBe("6081,53");
	});

	test("decodes control datagrams by their cookie, on any port, and RSTs with a cookie", () => {
		const about = { protocol: 17, port: 53, address: Buffer.from("00000000000000000000ffffcb007135", "hex") };
		const all = vectors.map((vector) => {
			const header = bytesOf(vector.hex);
			const payload = Buffer.from(
				encodeControl(header, about, vector.fields && vector.fields.flags & FLAG.packet ? inner : undefined),
			);
			return ethernet(0x0800, ipv4("203.0.113.53", "198.51.100.7", 17, udp(53, 5000, payload)));
		});
		const redirect = vectors.find((v) => v.fields?.type === "redirect") as Vector;
		const data = encodeReset(bytesOf(redirect.hex));
		all.push(ethernet(0x0800, ipv4("203.0.113.53", "198.51.100.7", 6, tcp(80, 5000, 0x14, Buffer.alloc(0), data))));
		const shown = rows(capture("control.pcap", all));
		for (const [i, vector] of vectors.entries()) {
			const row = shown[i] ?? {};
			expect(row.lua, vector.name).toBe("");
			if (vector.fields !== undefined) check(row, vector);
			// A control datagram has no length of its own for the header, so one that is too long is padded.
			else if (vector.hex.length >= 8 && vector.reason !== "header_length") expect(row.reason).toBe(vector.reason);
		}
		check(shown.at(-1) ?? {}, redirect);
	});

	test("decodes another tunnel port, and leaves the Geneve port to Geneve", () => {
		const packet = geneve(bytesOf((inGeneve[1] as Vector).hex), inner);
		const moved = [7000, 6081].map((port) =>
			ethernet(0x0800, ipv4("10.0.1.2", "10.0.2.11", 17, udp(34567, port, packet))),
		);
		const file = capture("moved.pcap", moved);
		const shown = tshark(file, "-o", "shunt.port:7000", "-T", "fields", "-e", "shunt.type", "-e", "udp.dstport");
		expect(shown.trimEnd().split("\n")).toEqual(["2\t7000,53", "\t6081,53"]);
	});

	test("R1 R30: tcpdump prints the option and the inner packet without a plug-in", () => {
		const done = spawnSync("tcpdump", ["-nn", "-vv", "-r", file], { encoding: "utf8" });
		expect(done.stdout).toContain("Geneve, Flags [C], vni 0x0");
		expect(done.stdout).toMatch(/class Unknown \(0xff17\) type 0x81\(C\) len 36 data 129014e9 003c0001/);
		expect(done.stdout).toContain("198.51.100.7.5000 > 203.0.113.53.53");
		const syn = Buffer.concat([
			Buffer.from("020405b4", "hex"),
			encodeTcpCapability(0x0123456789abcdefn),
			Buffer.from([1, 1]),
		]);
		const segment = ethernet(0x0800, ipv4("198.51.100.7", "203.0.113.53", 6, tcp(5000, 80, 2, syn, Buffer.alloc(0))));
		const said = spawnSync("tcpdump", ["-nn", "-r", capture("syn.pcap", [segment])], { encoding: "utf8" });
		expect(said.stdout).toContain("[mss 1460,exp-5352");
	});
});

function check(row: Record<string, string>, vector: Vector): void {
	const fields = vector.fields as NonNullable<Vector["fields"]>;
	const types = ["", "capability", "forward", "redirect", "failure", "probe", "probe-ack", "revoke"];
	const six = (fields.flags & FLAG.ipv6) !== 0;
	const expected: Record<string, string> = {
		version: "1",
		type: String(types.indexOf(fields.type)),
		flags: `0x${fields.flags.toString(16).padStart(2, "0")}`,
		port: String(fields.port),
		lease: String(fields.lease),
		hops: String(fields.hops),
		key: String(fields.keyId),
		issued_s: String(fields.issued),
		nonce: `0x${fields.nonce}`,
		address: six ? "" : fields.address,
		address6: six ? fields.address : "",
		alternative: six ? "" : (fields.alternative?.address ?? ""),
		alternative6: six ? (fields.alternative?.address ?? "") : "",
		alternative_port: fields.alternative === undefined ? "" : String(fields.alternative.port),
		tag: fields.tag,
		reason: "",
	};
	for (const [name, bit] of Object.entries(FLAG)) expected[`flags.${name}`] = fields.flags & bit ? "1" : "0";
	const shown = Object.fromEntries(Object.keys(expected).map((name) => [name, row[name]]));
	for (const name of Object.keys(FLAG)) {
		const value = shown[`flags.${name}`];
		shown[`flags.${name}`] = value === "True" ? "1" : value === "False" ? "0" : value;
	}
	expect(shown, vector.name).toEqual(expected);
}
