// pins.test.ts - whether a BPF file system stays when the daemon's process ends.

import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { deviceText, hasBpfMount, refuseUnsafeFolder, refuseUnsafeMount } from "../../src/host/pins.js";

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

test.skipIf(process.getuid?.() !== 0)(
	"R29: pins are refused a folder that another user can write to, a link, and a wrong mode, with the remedy",
	() => {
		const mount = mkdtempSync(join(tmpdir(), "shunt-pins-"));
		const folder = join(mount, "shunt-g1-1");
		try {
			refuseUnsafeMount(mount);
			refuseUnsafeFolder(folder); // the engine makes it
			mkdirSync(folder, { mode: 0o700 });
			refuseUnsafeFolder(folder);
			chmodSync(folder, 0o755);
			expect(() => refuseUnsafeFolder(folder)).toThrow(`its mode is 0755; it must be root's alone; rm -r ${folder}.`);
			chmodSync(folder, 0o700);
			chownSync(folder, 65_534, 65_534);
			expect(() => refuseUnsafeFolder(folder)).toThrow("it is user 65534's");
			symlinkSync(mount, join(mount, "link"));
			expect(() => refuseUnsafeFolder(join(mount, "link"))).toThrow("it is no folder");
			chmodSync(mount, 0o1777); // as a BPF file system is mounted by default: others may add, not replace
			refuseUnsafeMount(mount);
			chmodSync(mount, 0o777);
			expect(() => refuseUnsafeMount(mount)).toThrow(
				`its mode is 0777; it must be root's alone; chown root:root ${mount}`,
			);
			chmodSync(mount, 0o700);
			chownSync(mount, 65_534, 65_534);
			expect(() => refuseUnsafeMount(mount)).toThrow("it is user 65534's");
		} finally {
			rmSync(mount, { recursive: true });
		}
	},
);
