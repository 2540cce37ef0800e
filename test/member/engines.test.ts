// engines.test.ts - the sentences of an engine that is not taken: a kernel that is too old, and a driver that refuses.

import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config/index.js";
import { type KernelFeature, kernelAdvice, kernelFeatures, requireKernel } from "../../src/engine/index.js";
import { ShuntError } from "../../src/errors.js";
import { engineReason, refusalReason } from "../../src/member/engines.js";

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

describe("this kernel", () => {
	test("R33: every feature is probed, and present wherever the tests run", () => {
		const features = kernelFeatures();
		expect(features.map(({ since }) => since)).toEqual(["5.18", "5.18", "5.12", "5.12", "5.9", "5.8", "5.5"]);
		expect(features.filter(({ present }) => !present)).toEqual([]);
		for (const use of ["xdp", "agent"] as const) expect(() => requireKernel(use)).not.toThrow();
	});
});
