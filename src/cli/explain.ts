// explain.ts - `shunt explain`: what would happen to the next packet of a flow, and why.

import type { Explanation, Session } from "../api/types.js";
import { ShuntError } from "../errors.js";
import { parseEndpoint } from "./endpoint.js";
import { type Paint, paintFor, widthOf } from "./paint.js";
import { wrap } from "./table.js";
import { duration, endpoint, number } from "./units.js";
import { daemonOf, type Which } from "./which-daemon.js";

export interface ExplainOptions extends Which {
	readonly json?: boolean;
}

export async function explain(protocol: string, from: string, to: string, options: ExplainOptions): Promise<void> {
	if (protocol !== "udp" && protocol !== "tcp")
		throw new ShuntError("SHUNT_USAGE", {
			what: `PROTOCOL: ${JSON.stringify(protocol)} is invalid; must be udp or tcp.`,
		});
	const source = parseEndpoint(from, "SOURCE");
	const destination = parseEndpoint(to, "DESTINATION");
	if (source.family !== destination.family)
		throw new ShuntError("SHUNT_USAGE", {
			what: `SOURCE ${from} and DESTINATION ${to} are of different address families; must be of the same.`,
		});
	const daemon = await daemonOf(options, "explain");
	const answer = await daemon.explain({
		protocol,
		source: source.address,
		sourcePort: source.port,
		destination: destination.address,
		destinationPort: destination.port,
	});
	const text = options.json
		? JSON.stringify(answer)
		: explanationLines(answer, paintFor(process.stdout), widthOf(process.stdout)).join("\n");
	process.stdout.write(`${text}\n`);
}

function explanationLines(answer: Explanation, paint: Paint, columns: number): string[] {
	const { flow, service, rule, row, session, target } = answer;
	const from = endpoint(flow.source, flow.sourcePort);
	const to = endpoint(flow.destination, flow.destinationPort);
	const verdict = paint(answer.verdict === "drop" ? "red" : "green", answer.verdict);
	const facts: [string, string][] = [
		["verdict", `${verdict} (${answer.reason})`],
		["service", service === null ? "none" : service.name],
	];
	if (service !== null) {
		facts.push(
			["rule", rule ?? "no rule for this source: the service's redirection"],
			["row", row === null ? "none" : `${number(row.index)} of ${number(row.rows)}`],
			["session", session === null ? "none" : sessionText(session)],
			[
				"target",
				target === null
					? "none"
					: `${paint("bold", target.backend)} at ${endpoint(target.address, target.port)} (${target.state}; ${target.terms})`,
			],
		);
	}
	return [
		`${flow.protocol} ${paint("bold", from)} → ${paint("bold", to)}`,
		"",
		...facts.map(([name, text]) => `  ${name.padEnd(9)}${text}`),
		"",
		...answer.why.flatMap((sentence, i) => {
			const number = `  ${i + 1}. `;
			return wrap(sentence, columns - number.length).map(
				(line, j) => (j === 0 ? number : " ".repeat(number.length)) + line,
			);
		}),
		...(answer.text === ""
			? []
			: ["", ...wrap(`${answer.reason}: ${answer.text}`, columns - 2).map((line) => paint("dim", `  ${line}`))]),
	];
}

function sessionText(session: Session): string {
	const seen = session.state ?? (session.proven ? "several packets" : "one packet");
	return `with ${session.backend ?? "this host"}, idle ${duration(session.idleMs)}, ${duration(session.leftMs)} left, ${seen}`;
}
