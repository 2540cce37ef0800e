// service-health.ts - the health of a service: its probe, and what follows from the health of its backends.
//
// Owns: the checks and defaults among these fields. Must never: stop at a problem (see build.ts).

import { list } from "./field-types.js";
import type { Probe, ServiceHealth } from "./model.js";
import { areMany } from "./ports.js";
import type { ProblemList } from "./problems.js";
import { ms, parseShare } from "./quantities.js";
import type { HealthFields, ServiceFields } from "./schema.js";
import { portsOf } from "./service-ports.js";

export function buildProbe(
	name: string,
	service: ServiceFields,
	all: HealthFields,
	problems: ProblemList,
): Probe | null {
	const fields = service.health.probe;
	if (fields === undefined) return null;
	const at = ["services", name, "health", "probe"];
	const report = (field: string, message: string) => problems.add("SHUNT_CONFIG_REFERENCE", [...at, field], message);
	if (portsOf(service).some(areMany) || list(service.address).some((one) => one.includes("/"))) {
		const message = "given for a service of several ports or addresses, and a probe asks at one; remove it";
		problems.add("SHUNT_CONFIG_REFERENCE", at, message);
	}
	const { type, send, sendHex, expect, expectHex, name: question = "" } = fields;
	if (send !== undefined && sendHex !== undefined) report("sendHex", "given together with send; remove one of the two");
	if (expect !== undefined && expectHex !== undefined)
		report("expectHex", "given together with expect; remove one of the two");
	if (type === "udp" && send === undefined && sendHex === undefined)
		report(
			"type",
			"udp without send; a UDP service answers a question only; give send, or a companion port with type: tcp",
		);
	const hexOf = (value: string | undefined, hex: string | undefined) =>
		value === undefined ? (hex ?? null) : Buffer.from(value).toString("hex");
	return {
		type,
		port: fields.port ?? null,
		send: hexOf(send, sendHex),
		expect: hexOf(expect, expectHex),
		name: question,
		record: fields.record,
		path: fields.path,
		host: fields.host ?? null,
		status: fields.status ?? null,
		intervalMs: ms(fields.interval),
		timeoutMs: ms(fields.timeout),
		rise: fields.rise ?? all.rise,
		fall: fields.fall ?? all.fall,
		jitter: parseShare(fields.jitter) ?? 0,
	};
}

/** A service with both protocols has a probe for the one that it asks by, and for the other one it is the same answer. */
export function probeFor(protocol: "udp" | "tcp", probe: Probe | null): Probe | null {
	if (probe === null || probe.port !== null) return probe;
	const asks = probe.type === "udp" ? "udp" : probe.type === "dns" ? protocol : "tcp";
	return asks === protocol ? probe : null;
}

/** Fields that the service does not have are the cluster's. */
export function buildHealth(own: ServiceFields["health"], all: HealthFields, probe: Probe | null): ServiceHealth {
	return {
		bound: own.bound ?? all.bound,
		slowStartMs: ms(own.slowStart ?? all.slowStart),
		panic: parseShare(own.panic ?? all.panic) ?? 0,
		fail: own.fail ?? all.fail,
		probe,
	};
}
