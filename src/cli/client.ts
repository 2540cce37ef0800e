// client.ts - `shunt client`: redirects the packets of this host's applications.
//
// Owns: the text for the agent's events. Must never: leave a program attached when it ends.

import { Agent, type ServiceCounts, type ServiceName } from "../agent/index.js";
import { type Notification, openCache, RedirectionCache, saveCache } from "../client/index.js";
import { ShuntError } from "../errors.js";
import { endpointText, type Prefix, parseEndpoint, parsePrefix } from "../wire/index.js";
import { count } from "./units.js";

const DRAIN_MS = 30_000;

export interface ClientOptions {
	interface: string[];
	service: string[];
	targetPrefix?: string[];
	source?: string;
	controlPort?: number;
	cache?: string;
	/** Milliseconds. */
	drain?: number;
	json?: boolean;
}

export async function client(options: ClientOptions): Promise<void> {
	const services = options.service.map(serviceOf);
	const targets = options.targetPrefix?.map(prefixOf);
	const source = options.source === undefined ? undefined : parseEndpoint(bracketed(options.source))?.address;
	if (options.source !== undefined && source === undefined) {
		throw new ShuntError("SHUNT_ADDRESS_INVALID", { text: options.source });
	}
	if (process.getuid?.() !== 0) throw new ShuntError("SHUNT_NOT_ROOT", { command: "shunt client" });
	const cache = options.cache === undefined ? new RedirectionCache() : openCache(options.cache);

	const hurry = new AbortController();
	let end: (why?: unknown) => void = () => {};
	const ended = new Promise<unknown>((resolve) => {
		end = resolve;
	});
	const print = (line: object, text: string) => {
		if (options.json) process.stdout.write(`${JSON.stringify(line)}\n`);
		else process.stdout.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`);
	};
	const agent = new Agent({
		interfaces: options.interface,
		services,
		cache,
		...(targets === undefined ? {} : { targets }),
		...(source === undefined ? {} : { source }),
		...(options.controlPort === undefined ? {} : { controlPort: options.controlPort }),
		onEvent: (service, event, source) => {
			const flow = source === undefined ? undefined : endpointText(source);
			const of = flow === undefined ? service : `${service} from ${flow}`;
			print({ ...eventFields(event), event: event.name, service, flow }, `${of}: ${eventText(event)}`);
			// Once is not stored, and may be frequent.
			const once = event.name === "redirect" && event.term === "once";
			if (options.cache !== undefined && !once) write(cache, options.cache);
		},
		onEnd: end,
	});
	let signals = 0;
	for (const signal of ["SIGINT", "SIGTERM"] as const)
		process.on(signal, () => {
			end();
			if (++signals > 1) hurry.abort();
		});
	print(
		{
			event: "ready",
			interfaces: options.interface,
			services: services.map(({ protocol, service }) => `${protocol} ${endpointText(service)}`),
		},
		`ready: ${services.length} services on ${options.interface.join(", ")}`,
	);
	const why = await ended;
	if (why === undefined) await drain(agent, options.drain ?? DRAIN_MS, hurry, print);
	const counts = agent.counts();
	await agent.close();
	for (const one of counts) print({ event: "end", ...one }, countsText(one));
	if (options.cache !== undefined) write(cache, options.cache);
	if (why !== undefined) throw why;
}

type Print = (line: object, text: string) => void;

/** Connections that the agent has redirected break when its programs go, so it waits for them. */
async function drain(agent: Agent, deadlineMs: number, hurry: AbortController, print: Print): Promise<void> {
	const timer = setTimeout(() => hurry.abort(), deadlineMs);
	const left = await agent.drain(hurry.signal, (connections) => {
		if (connections === 0) return;
		const what = count(connections, "redirected connection");
		print(
			{ event: "draining", connections },
			`waits for ${what} to end, ${deadlineMs / 1000} s at most; a second signal ends at once`,
		);
	});
	clearTimeout(timer);
	if (left > 0) print({ event: "broken", connections: left }, `${count(left, "redirected connection")} cannot go on`);
}

function serviceOf(text: string): ServiceName {
	const match = /^(udp|tcp)\/(.+)$/.exec(text);
	const service = parseEndpoint(match?.[2] ?? "");
	if (service === undefined) {
		throw new ShuntError("SHUNT_USAGE", {
			what: `--service: ${JSON.stringify(text)} is invalid; must be PROTOCOL/ADDRESS:PORT, such as udp/192.0.2.1:53 or tcp/[2001:db8::1]:80.`,
		});
	}
	return { protocol: match?.[1] as "udp" | "tcp", service };
}

function prefixOf(text: string): Prefix {
	const prefix = parsePrefix(text);
	if (prefix === undefined) {
		throw new ShuntError("SHUNT_USAGE", {
			what: `--target-prefix: ${JSON.stringify(text)} is invalid; must be a prefix or an address, such as 10.0.0.0/8 or 2001:db8::1.`,
		});
	}
	return prefix;
}

function bracketed(address: string): string {
	return address.includes(":") ? `[${address}]:1` : `${address}:1`;
}

function write(cache: RedirectionCache, file: string): void {
	try {
		saveCache(cache, file);
	} catch (cause) {
		throw new ShuntError("SHUNT_FILE_UNWRITABLE", { file, why: (cause as Error).message }, { cause });
	}
}

function eventFields(event: Notification): object {
	const { name: _, ...rest } = event;
	return Object.fromEntries(
		Object.entries(rest).map(([key, value]) => [key, typeof value === "object" ? endpointText(value) : value]),
	);
}

function eventText(event: Notification): string {
	if (event.name === "redirect") {
		const from = event.previous === undefined ? "" : `, from ${endpointText(event.previous)}`;
		return `redirected to ${endpointText(event.target)} (${event.term})${from}`;
	}
	if (event.name === "failover") return `${endpointText(event.target)} has failed (${event.cause})`;
	if (event.name === "lease") return `lease ${event.change} at ${endpointText(event.target)}`;
	return `stays with the gateway (${event.why})`;
}

function countsText({ service, state, counters }: ServiceCounts): string {
	const counted = Object.entries(counters).filter(([, value]) => value > 0);
	return `${service}: ${state}; ${counted.map(([name, value]) => `${name} ${value}`).join(", ") || "no traffic"}`;
}
