// A small cluster, written as people write it, with what a test wants to be different.
import { type Config, parseConfig } from "../../src/config/index.js";
import { type HostFacts, type Snapshot, targetsOf } from "../../src/database/index.js";

export function config(services: string, backends?: string): Config {
	return parseConfig(
		`
version: 1
cluster: { seed: test, keys: [{ id: 7, secret: "00112233445566778899aabbccddeeff" }] }
backends:
${
	backends ??
	`
  b1: { address: [10.77.3.11, "fd77:3::11"] }
  b2: { address: 10.77.3.12 }
  b3: { address: 10.77.3.13 }
`
}
services:
${services}`,
		"test.yaml",
	);
}

export const DNS = `
  dns:
    address: [203.0.113.53, "2001:db8:53::53"]
    port: 53
    protocol: udp
    backends: [b1, { name: b2, port: 5353, weight: 2 }, b3]
    sources:
      - { from: 198.51.100.0/24, backends: [b3] }
      - { from: 198.51.100.128/25, redirect: { clients: true, term: leased, lease: 90s } }
      - { from: 198.51.100.200, backends: [b1] }
      - { from: "2001:db8:100::/48", backends: [b1] }
`;

export function factsFor(snapshot: Snapshot): Map<string, HostFacts> {
	const facts = new Map<string, HostFacts>();
	for (const service of snapshot.services) {
		for (const redirection of [service.redirection, ...service.rules.map((rule) => rule.redirection)]) {
			for (const target of targetsOf(snapshot, service, redirection)) {
				facts.set(target.address, {
					source: target.family === 4 ? "10.77.2.1" : "fd77:2::1",
					nextHop: Buffer.from("020000000001", "hex"),
					ownMac: Buffer.from("020000000002", "hex"),
					ifindex: 3,
					mtu: 1500,
				});
			}
		}
	}
	return facts;
}
