// check.ts - `shunt check`: every problem of each configuration or, of a valid one, its warnings and what it would
// publish.
//
// Owns: the text of the answer. Must never: touch the host, or load the addon.

import {
	type Config,
	ConfigError,
	PROTOCOL_NUMBER,
	type Problem,
	portsText,
	problemText,
	readConfig,
	redirectionsOf,
	serviceAddressText,
	serviceKey,
	type Warning,
} from "../config/index.js";
import { gatewayTablesOf, targetsOf } from "../database/index.js";
import { EXIT, ShuntError } from "../errors.js";
import type { TableService } from "../policy/index.js";
import { type Paint, paintFor } from "./paint.js";
import { table } from "./table.js";
import { count, duration, endpoint, number } from "./units.js";

interface Published {
	readonly cluster: string;
	readonly gateways: number;
	readonly backends: number;
	readonly services: readonly PublishedService[];
	readonly rules: number;
	readonly targets: number;
	readonly redirections: number;
	/** Rows of all forwarding tables. */
	readonly rows: number;
}

interface PublishedService {
	readonly name: string;
	readonly protocol: "udp" | "tcp";
	readonly address: string;
	readonly port: number;
	/** "53", "10000-20000" or "any". */
	readonly ports: string;
	readonly idleMs: number;
	readonly spread: "flow" | "source";
	readonly rules: number;
	readonly targets: number;
	/** Rows of the service's own forwarding table. */
	readonly rows: number;
}

interface Refused {
	readonly code: string;
	readonly message: string;
	readonly hint: string;
	readonly problems: readonly Problem[];
}

type Result =
	| { file: string; ok: true; warnings: readonly Warning[]; published: Published }
	| { file: string; ok: false; error: Refused };

export async function check(files: readonly string[], options: { json?: boolean }): Promise<void> {
	if (files.length === 0) throw new ShuntError("SHUNT_USAGE", { what: "Missing required argument 'file'." });
	const results = files.map(resultOf);
	const paint = paintFor(process.stdout);
	const text = options.json
		? JSON.stringify({ files: results })
		: results.flatMap((one) => lines(one, paint)).join("\n");
	process.stdout.write(`${text}\n`);
	if (results.some((one) => !one.ok)) process.exitCode = EXIT.input;
}

function resultOf(file: string): Result {
	try {
		const config = readConfig(file);
		return { file, ok: true, warnings: config.warnings, published: publishedBy(config) };
	} catch (error) {
		if (!(error instanceof ShuntError)) throw error;
		const { code, message, hint } = error;
		const problems = error instanceof ConfigError ? error.problems : [];
		return { file, ok: false, error: { code, message, hint, problems } };
	}
}

/** Compiles the tables as a gateway does, without the facts that only the host knows. */
function publishedBy(config: Config): Published {
	const { snapshot, tables } = gatewayTablesOf(config);
	const published = new Map(tables.services.map((one) => [serviceKeyOf(one), one]));
	const services = config.services.map((service): PublishedService => {
		const { name, protocol, address, port, ports, idleMs, spread } = service;
		const targets = redirectionsOf(service).flatMap((one) => targetsOf(snapshot, service, one));
		const own = tables.redirections[published.get(service.key)?.redirection ?? -1];
		return {
			name,
			protocol,
			address,
			port,
			ports,
			idleMs,
			spread,
			rules: service.rules.length,
			targets: new Set(targets.map((target) => target.key)).size,
			rows: own?.rows.length ?? 0,
		};
	});
	return {
		cluster: config.cluster.name,
		gateways: config.gateways.length,
		backends: config.backends.length,
		services,
		rules: tables.rules.length,
		targets: tables.targets.length,
		redirections: tables.redirections.length,
		rows: tables.redirections.reduce((sum, one) => sum + one.rows.length, 0),
	};
}

function serviceKeyOf(service: TableService): string {
	const { address, addressLength = 128, family, port, portLast = port, protocol } = service;
	const ports = portsText({ first: port, last: portLast });
	const at = serviceAddressText(address, addressLength, family);
	return serviceKey(protocol === PROTOCOL_NUMBER.udp ? "udp" : "tcp", at, ports);
}

function lines(result: Result, paint: Paint): string[] {
	if (!result.ok) {
		const { problems, message } = result.error;
		if (problems.length === 0) return [message];
		return [
			...problems.map((problem) => placed(problem, paint)),
			`${result.file}: ${paint("red", count(problems.length, "problem"))}`,
		];
	}
	const { published, warnings } = result;
	const ok = paint("green", "OK");
	const head = ["service", "on", "address", "idle", "spread", "rules", "targets", "rows"];
	const rows = published.services.map((service) => [
		service.name,
		service.protocol,
		endpoint(service.address, service.ports),
		duration(service.idleMs),
		service.spread,
		number(service.rules),
		number(service.targets),
		number(service.rows),
	]);
	const [title, ...body] = table(
		["left", "left", "left", "right", "left", "right", "right", "right"],
		[head, ...rows],
		"  ",
	);
	const servers = `${count(published.gateways, "gateway")}, ${count(published.backends, "backend")}`;
	const tables = [
		count(published.services.length, "service"),
		count(published.rules, "rule"),
		count(published.targets, "target"),
		`${count(published.redirections, "redirection")} of ${count(published.rows, "row")}`,
	];
	return [
		...warnings.map((warning) => placed(warning, paint, `${paint("yellow", "warning")}: `)),
		`${result.file}: ${warnings.length === 0 ? ok : `${ok}, ${count(warnings.length, "warning")}`}`,
		`  cluster ${published.cluster}: ${servers}`,
		`  publishes ${tables.join(", ")}`,
		"",
		paint("dim", title ?? ""),
		...body,
	];
}

/** "file:line:column: sentence", with what stands before the sentence. */
function placed(problem: Warning, paint: Paint, before = ""): string {
	const [place, ...sentence] = problemText(problem).split(": ");
	return `${paint("bold", `${place}:`)} ${before}${sentence.join(": ")}`;
}
