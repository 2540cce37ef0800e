// path-errors.test.ts - which ICMP errors are a reason to ask a backend.

import { expect, test } from "vitest";
import { parseAddress } from "../../src/config/index.js";
import type { IcmpError } from "../../src/engine/index.js";
import { PathErrors } from "../../src/gateway/path-errors.js";

const bytes = (text: string) => Buffer.from(parseAddress(text)!.bytes);
const OWN = "10.77.2.2";
const ROUTER = "10.77.2.1";

function heard(...errors: Partial<Record<keyof IcmpError, string | number>>[]): string[] {
	const found: string[] = [];
	const one = (error: Partial<Record<keyof IcmpError, string | number>>): IcmpError => ({
		reporter: bytes(String(error.reporter ?? ROUTER)),
		code: Number(error.code ?? 1),
		source: bytes(String(error.source ?? OWN)),
		destination: bytes(String(error.destination ?? "10.77.13.2")),
		destinationPort: Number(error.destinationPort ?? 6081),
	});
	const paths = new PathErrors({
		ports: () => ({ tunnel: 6081, load: 3576 }),
		sourceTo: (destination) => {
			if (destination.equals(bytes("10.77.99.2"))) return undefined;
			return bytes(destination.subarray(0, 10).some((byte) => byte > 0) ? "fd77:2::2" : OWN);
		},
		onError: (address, why) => found.push(`${address} ${why}`),
		warn: (problem) => found.push(problem),
		open: () => ({ read: () => errors.map(one), close: () => {} }),
	});
	paths.start();
	paths.read();
	paths.close();
	return found;
}

test("R31: an error about the tunnel or the load port names the address, the router and what is wrong", () => {
	expect(heard({ code: 13 })).toEqual(["10.77.13.2 10.77.2.1 reports 10.77.13.2: administratively prohibited"]);
	expect(heard({ code: 1, destinationPort: 3576 })).toEqual([
		"10.77.13.2 10.77.2.1 reports 10.77.13.2: host unreachable",
	]);
	expect(heard({ code: 3, reporter: "10.77.13.2" })).toEqual([
		"10.77.13.2 10.77.13.2 reports 10.77.13.2: port unreachable",
	]);
	expect(heard({ code: 0, source: "fd77:2::2", destination: "fd77:13::2", reporter: "fd77:2::1" })).toEqual([
		"fd77:13::2 fd77:2::1 reports fd77:13::2: no route",
	]);
});

test("R31: an error that quotes another source, another port, or no way to the backend is none; nor is one about a size", () => {
	expect(heard({ source: "10.77.2.3" }, { destinationPort: 53 }, { destination: "10.77.99.2" })).toEqual([]);
	expect(heard({ code: 4 }, { code: 11 }, { code: 3, destinationPort: 3576 })).toEqual([]);
});

test("R31: without the sockets the gateway works on, and says what it does not hear", () => {
	const problems: string[] = [];
	const paths = new PathErrors({
		ports: () => ({ tunnel: 6081, load: 3576 }),
		sourceTo: () => undefined,
		onError: () => {},
		warn: (problem) => problems.push(problem),
		open: () => {
			throw new Error("a raw ICMP socket cannot be opened: Operation not permitted");
		},
	});
	paths.start();
	paths.read();
	paths.close();
	expect(problems).toEqual([
		"routers' ICMP errors about backends are not heard: a raw ICMP socket cannot be opened: Operation not permitted",
	]);
});
