// client.test.ts - `shunt client`: errors of its command line, before it changes anything.

import { expect, test } from "vitest";
import { shunt } from "./cli.js";

test.each([
	[["--service", "dns/203.0.113.53:53"], '--service: "dns/203.0.113.53:53" is invalid; must be PROTOCOL/ADDRESS:PORT'],
	[["--service", "udp/203.0.113.53"], '--service: "udp/203.0.113.53" is invalid; must be PROTOCOL/ADDRESS:PORT'],
	[
		["--service", "udp/203.0.113.53:53", "--target-prefix", "10.0.0.0/33"],
		'--target-prefix: "10.0.0.0/33" is invalid; must be a prefix or an address',
	],
	[["--service", "udp/203.0.113.53:53", "--source", "here"], "here is not an IPv4 or IPv6 address"],
])("R26: %j: one sentence, exit status 2", async (words, sentence) => {
	const { status, stdout, stderr } = await shunt(["client", "-i", "lo", ...words]);
	expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
	expect(stderr).toContain(`shunt: ${sentence}`);
});
