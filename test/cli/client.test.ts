// client.test.ts - `shunt client`: what is wrong with its command line, before anything is touched.

import { expect, test } from "vitest";
import { shunt } from "./cli.js";

test.each([
	[["--service", "dns/203.0.113.53:53"], "--service is udp/ or tcp/ and an address with a port"],
	[["--service", "udp/203.0.113.53"], "--service is udp/ or tcp/ and an address with a port"],
	[["--service", "udp/203.0.113.53:53", "--target-prefix", "10.0.0.0/33"], "--target-prefix is a prefix or an address"],
	[["--service", "udp/203.0.113.53:53", "--source", "here"], "here is no Internet address"],
])("R26: %j: one sentence, exit status 2", async (words, sentence) => {
	const { status, stdout, stderr } = await shunt(["client", "-i", "lo", ...words]);
	expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
	expect(stderr).toContain(`shunt: ${sentence}`);
});
