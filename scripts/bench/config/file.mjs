// file.mjs - a configuration of a given size, as text.
//
// Must never: depend on chance; the same size is the same text.

/** Every service has all backends; all rules are the first service's. `changed`: the last service has another backend
 * port, as after an edit. */
export function configText({ services, backends, rules, changed = false }) {
	const names = Array.from({ length: backends }, (_, i) => `b${i}`);
	const lines = [
		"version: 1",
		'cluster: { seed: t, keys: [{ id: 1, secret: "000102030405060708090a0b0c0d0e0f" }] }',
		"sessions: { capacity: 65536, capacityIpv6: 65536 }",
		"gateways: { g1: { interface: eth0 } }",
		"backends:",
		...names.map((name, i) => `  ${name}: { address: 10.${80 + (i >> 8)}.${i & 255}.2 }`),
		"services:",
	];
	for (let i = 0; i < services; i++) {
		const first = changed && i === services - 1 ? "{ name: b0, port: 9999 }" : "b0";
		lines.push(
			`  s${i}:`,
			`    address: 203.0.113.${1 + (i % 50)}`,
			`    port: ${1000 + Math.floor(i / 50)}`,
			"    protocol: udp",
			`    backends: [${[first, ...names.slice(1)].join(", ")}]`,
		);
		if (i > 0 || rules === 0) continue;
		lines.push("    sources:");
		for (let rule = 0; rule < rules; rule++) {
			const from = `${20 + (rule >> 16)}.${(rule >> 8) & 255}.${rule & 255}.${(rule * 7) & 255}`;
			lines.push(`      - { from: ${from}/32, backends: [b${rule % backends}] }`);
		}
	}
	return `${lines.join("\n")}\n`;
}
