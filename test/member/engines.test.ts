// engines.test.ts - the sentences of an engine that is not taken: a kernel that is too old, and a driver that refuses.

import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/index.js";
import { type KernelFeature, kernelAdvice, kernelFeatures, requireKernel } from "../../src/engine/index.js";
import { ShuntError } from "../../src/errors.js";
import { checkQueues, engineReason, refusalReason } from "../../src/member/engines.js";

const config = parseConfig(
	`
version: 1
cluster: { name: c, seed: s, keys: [{ id: 1, secret: "000102030405060708090a0b0c0d0e0f" }] }
gateways: { g1: { interface: eth0 } }
backends: { b1: { address: 10.0.0.1 } }
services: { s: { address: 203.0.113.1, port: 53, protocol: udp, backends: [b1] } }
`,
	"engines.yaml",
);

const feature = (name: string, since: string, present: boolean, use = "xdp"): KernelFeature => {
	return { name, since, forXdp: use === "xdp", forAgent: use === "agent", present };
};

/** As the probes find it on Linux 5.10. */
const OLD = [
	feature("XDP for frames in several buffers", "5.18", false),
	feature("atomic BPF instructions", "5.12", false),
	feature("BPF links", "5.9", true),
	feature("the helper functions of the agent's programs", "5.12", false, "agent"),
];

function errorOf(act: () => void): ShuntError {
	try {
		act();
	} catch (error) {
		return error as ShuntError;
	}
	throw new Error("nothing was refused");
}

describe("a kernel that lacks what an engine needs", () => {
	test("R33: is refused by name, with the features that are missing and the release that is needed", () => {
		const error = errorOf(() => requireKernel("xdp", OLD, "5.10.0-34-amd64"));
		expect(error).toBeInstanceOf(ShuntError);
		expect(error.code).toBe("SHUNT_KERNEL_TOO_OLD");
		expect(error.message).toContain(
			"XDP does not work on this kernel: Linux 5.10.0-34-amd64 lacks XDP for frames in several buffers (Linux 5.18) and " +
				"atomic BPF instructions (Linux 5.12); 6.1 or later is needed.",
		);
		expect(errorOf(() => requireKernel("agent", OLD, "5.10.0")).message).toContain(
			"The host agent does not work on this kernel: Linux 5.10.0 lacks the helper functions of the agent's programs (Linux 5.12)",
		);
	});

	test("R33: auto takes user space, and its reason names both XDP modes once, with the release that is needed", () => {
		const why = refusalReason(errorOf(() => requireKernel("xdp", OLD, "5.10.0")));
		const refusals = [
			{ mode: "native", why },
			{ mode: "generic", why },
		] as const;
		expect(engineReason(config, "user", refusals)).toBe(
			"auto: not native XDP or generic XDP, Linux 5.10.0 lacks XDP for frames in several buffers (Linux 5.18) and " +
				"atomic BPF instructions (Linux 5.12); 6.1 or later is needed",
		);
	});

	test("R33: a refusal of the verifier on a kernel older than any that is tested says so", () => {
		expect(kernelAdvice("5.19.0-1")).toBe("; Linux 5.19.0-1 is older than 6.1, the oldest that is tested");
		for (const release of ["6.1.0-56-amd64", "6.12.9", "7.0.0-rc1"]) expect(kernelAdvice(release)).toBe("");
	});

	test("two reasons stay two", () => {
		const refusals = [
			{ mode: "native", why: "eth0: its driver accepts no native XDP program: MTU too large to enable XDP" },
			{ mode: "generic", why: "the XDP hook of eth0 is held by program other (id 7)" },
		] as const;
		expect(engineReason(config, "user", refusals)).toBe(
			"auto: not native XDP, eth0: its driver accepts no native XDP program: MTU too large to enable XDP; " +
				"not generic XDP, the XDP hook of eth0 is held by program other (id 7)",
		);
	});
});

describe("a NIC whose queues do not suffice for XDP", () => {
	const channels = (combined: number, most: number, driver = "virtio_net") => ({ driver, combined, most });

	test("R33: virtio_net with more queues in use than processors, and none left, is refused: its driver would crash", () => {
		const error = errorOf(() => checkQueues("eth0", channels(4, 4), 2));
		expect(error.code).toBe("SHUNT_XDP_QUEUES");
		expect(refusalReason(error)).toBe(
			"eth0: virtio_net needs a queue pair for each of 2 processors besides the 4 in use, and the device has 4; " +
				"native XDP would crash the kernel. ethtool -L eth0 combined 2 leaves enough",
		);
		expect(errorOf(() => checkQueues("eth0", channels(8, 8), 4)).message).toContain("combined 4 leaves enough.");
	});

	test("R33: virtio_net shares its queues otherwise, and the warning says how many there are, and the remedy", () => {
		expect(checkQueues("eth0", channels(3, 4), 3)).toBe(
			"eth0: virtio_net needs a queue pair for each of 3 processors besides the 3 in use, and the device has 4; " +
				"native XDP shares transmit queues under a lock. ethtool -L eth0 combined 1 leaves enough",
		);
		expect(checkQueues("eth0", channels(1, 1), 2)).toMatch(
			/under a lock\. Give the virtual machine's NIC more queues$/,
		);
	});

	test("no warning where there are enough, or where another driver refuses by itself", () => {
		expect(checkQueues("eth0", channels(2, 4), 2)).toBeUndefined();
		expect(checkQueues("eth0", channels(8, 8, "ena"), 8)).toBeUndefined();
		expect(checkQueues("lo", null, 8)).toBeUndefined();
		expect(checkQueues("lo")).toBeUndefined();
	});
});

describe("this kernel", () => {
	test("R33: every feature is probed, and present wherever the tests run", () => {
		const features = kernelFeatures();
		expect(features.map(({ since }) => since)).toEqual(["5.18", "5.18", "5.12", "5.12", "5.9", "5.8", "5.5"]);
		expect(features.filter(({ present }) => !present)).toEqual([]);
		for (const use of ["xdp", "agent"] as const) expect(() => requireKernel(use)).not.toThrow();
	});
});
