// render.mjs - the tables of `npm run bench -- clients`. A part that has failed is named, with its error.
//
// Owns: medians and ratios, round by round. Must never: fail for want of a result.

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
const ms = (value) => (typeof value === "number" && !Number.isNaN(value) ? value.toFixed(3) : "");
const unique = (list) => [...new Set(list)];

export function render(report) {
	const { gateway = [], latency = [], latencyTcp = [], goodput = [], failure = [], errors = [] } = report;
	const lines = ["| terms | answers | packets at the gateway | offloaded |", "|---|---|---|---|"];
	for (const { terms, answers, gatewayPackets, offload } of gateway)
		lines.push(`| ${terms} | ${answers} | ${gatewayPackets} | ${(100 * offload).toFixed(2)} % |`);
	lines.push(...latencies("path, UDP", latency), ...latencies("path, TCP", latencyTcp));
	lines.push("", "| three uploads, every link of 20 Mbit/s | Mbit/s together | ÷ one link |", "|---|---|---|");
	for (const path of unique(goodput.map((one) => one.way))) {
		const all = goodput.filter((one) => one.way === path);
		const speed = median(all.map(({ mbit }) => mbit));
		lines.push(`| ${path} | ${speed.toFixed(1)} | ${(speed / all[0].linkMbit).toFixed(2)} |`);
	}
	lines.push("", "| failure | longest time without an answer, ms: median (min – max) |", "|---|---|");
	for (const kind of unique(failure.map((one) => one.kind))) {
		const gaps = failure.filter((one) => one.kind === kind).map(({ longestGapMs }) => longestGapMs);
		lines.push(
			`| ${kind} | ${median(gaps).toFixed(0)} (${Math.min(...gaps).toFixed(0)} – ${Math.max(...gaps).toFixed(0)}) |`,
		);
	}
	for (const { part, why } of errors) lines.push("", `${part} failed: ${why}`);
	return lines.join("\n");
}

/** The ratio is to the subject "direct" of the same round. */
function latencies(title, results) {
	const lines = ["", `| ${title} | p50, ms | p99, ms | p50 ÷ direct | lost |`, "|---|---|---|---|---|"];
	const of = (subject) => results.filter((one) => one.subject === subject);
	const direct = new Map(of("direct").map((one) => [one.round, one.p50Ms]));
	for (const subject of unique(results.map((one) => one.subject))) {
		const rows = of(subject);
		const ratios = rows.map(({ round, p50Ms }) => p50Ms / direct.get(round)).filter((one) => one > 0);
		const span =
			ratios.length === 0
				? ""
				: `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)})`;
		const p99 = subject.startsWith("cold") ? undefined : median(rows.map(({ p99Ms }) => p99Ms));
		const lost = rows.reduce((sum, one) => sum + one.lost, 0);
		lines.push(`| ${subject} | ${ms(median(rows.map(({ p50Ms }) => p50Ms)))} | ${ms(p99)} | ${span} | ${lost} |`);
	}
	return lines;
}
