// pins.test.ts - whether a BPF file system stays when the daemon's process ends.

import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { deviceText, hasBpfMount } from "../../src/host/pins.js";

const MOUNTINFO = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 24 0:28 / /sys/fs/bpf rw,nosuid,nodev,noexec,relatime shared:9 - bpf bpf rw,mode=700
40 22 0:35 / /mnt/a\\040b rw - tmpfs tmpfs rw
`;

test("R29: a BPF file system that process 1 has mounted stays; another one, and another kind of the same number, does not", () => {
	expect(hasBpfMount(MOUNTINFO, "0:28")).toBe(true);
	expect(hasBpfMount(MOUNTINFO, "0:29")).toBe(false);
	expect(hasBpfMount(MOUNTINFO, "0:35")).toBe(false);
	expect(hasBpfMount("", "0:28")).toBe(false);
});

test("device numbers are written as in /proc/PID/mountinfo", () => {
	expect(deviceText(0x1cn)).toBe("0:28");
	expect(deviceText(0xfe01n)).toBe("254:1");
	expect(deviceText(0x100034n), "a minor number above 255").toBe("0:308");
	expect(deviceText(statSync("/proc", { bigint: true }).dev)).toMatch(/^0:\d+$/);
});
