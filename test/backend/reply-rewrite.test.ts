// reply-rewrite.test.ts - the reply rules that a backend installs, by the text that nft gets, and what it does where nft refuses
// a part of them. test/host/firewall.test.ts and test/lab have the packets.

import { describe, expect, test } from "vitest";
import { ReplyRewrite } from "../../src/backend/reply-rewrite.js";
import { replyRules } from "../../src/backend/reply-rules.js";
import { parseConfig } from "../../src/config/index.js";
import { snapshotOfConfig } from "../../src/database/index.js";
import type { FirewallRules } from "../../src/host/firewall.js";

const config = (services: string, address = '[10.9.0.1, "fd77::1"]') =>
	parseConfig(
		`
version: 1
cluster: { seed: s, keys: [{ id: 1, secret: "00112233445566778899aabbccddeeff" }] }
backends: { b: { address: ${address} } }
services: { ${services} }`,
		"inline.yaml",
	);
const rulesOf = (services: string, address?: string) => {
	const read = config(services, address);
	return replyRules(read.backends[0]!, snapshotOfConfig(read).services, read.sessions);
};
const chain = (rules: FirewallRules, name: string) => rules.chains.find((one) => one.name === name)?.rules;

describe("the reply rules of a backend", () => {
	test("R32: a backend with two addresses has a set of connected clients for each; a client is in one of them", () => {
		const rules = rulesOf(
			"s: { address: 203.0.113.53, port: 53, protocol: udp, backends: [b] }",
			"[10.9.0.1, 10.9.1.1]",
		);
		expect(rules.sets.map(({ name }) => name).filter((name) => name.startsWith("connected"))).toEqual([
			"connected4_10_9_0_1",
			"connected4_10_9_1_1",
		]);
		expect(chain(rules, "connect4")).toEqual([
			expect.stringMatching(/^ip saddr 10\.9\.0\.1 .* update @connected4_10_9_0_1 .* delete @connected4_10_9_1_1 /),
			expect.stringMatching(/^ip saddr 10\.9\.1\.1 .* update @connected4_10_9_1_1 .* delete @connected4_10_9_0_1 /),
		]);
	});

	test("R32: a packet to no service costs one look-up; one to a service meets no rule about other packets", () => {
		const rules = rulesOf("s: { address: 203.0.113.53, port: 53, protocol: udp, backends: [b] }");
		expect(chain(rules, "reply_input")).toEqual([
			"meta l4proto udp ip daddr @addresses4 goto service4",
			"udp dport @ports4 delete @peers4 { ip saddr . udp sport . udp dport }",
		]);
	});

	test("R32: replies of a prefix are rewritten for each of its addresses up to an IPv4 /26; those of a larger one are not", () => {
		const addresses = (prefix: string) =>
			rulesOf(`s: { address: ${prefix}, port: 53, protocol: udp, backends: [b] }`).sets.find(({ name }) =>
				name.startsWith("addresses"),
			)?.elements;
		expect(addresses("203.0.113.96/30")).toEqual(["203.0.113.96", "203.0.113.97", "203.0.113.98", "203.0.113.99"]);
		expect(addresses('"2001:db8::fe/127"')).toEqual(["2001:db8::fe", "2001:db8::ff"]);
		expect(addresses("203.0.113.64/26")).toHaveLength(64);
		expect(addresses("203.0.113.0/25")).toBeUndefined();
	});

	test("R32: where the kernel has no nft_socket, the rules are installed without connected sockets, and the advice says so", async () => {
		const installed: FirewallRules[] = [];
		let refuses = (rules: FirewallRules) => JSON.stringify(rules).includes("socket wildcard");
		const rewrite = new ReplyRewrite({
			set: async (rules) => {
				if (refuses(rules)) throw new Error("Could not process rule: No such file or directory");
				installed.push(rules);
			},
			close: async () => {},
			detach: async () => {},
		});
		const read = config("s: { address: 203.0.113.53, port: 53, protocol: udp, backends: [b] }");
		const set = () => rewrite.set(read.backends[0]!, snapshotOfConfig(read).services, read.sessions);
		await set();
		expect(installed.map((rules) => chain(rules, "reply4_53")?.length)).toEqual([1]);
		expect(rewrite.advice()).toEqual([expect.stringContaining("load the kernel module nft_socket")]);
		refuses = () => false;
		await set();
		expect(rewrite.advice()).toEqual([]);
		refuses = () => true;
		await expect(set()).rejects.toThrow("No such file");
	});
});
