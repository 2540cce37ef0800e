// render.mjs - the table of `npm run bench -- xdp`: nanoseconds net of the wrapper, and ratios, median with minimum and maximum.
//
// Owns: what is taken off and what is divided by what, round by round. A live figure is a rate, and nothing is taken off it.

const BARE = "XDP_TX, bare";
const BARE_ATTACHED = "XDP_TX, bare, native";

export function spread(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length / 2;
	const median = sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
	return { median, min: sorted[0], max: sorted.at(-1) };
}

const text = ({ median, min, max }, digits = 0) =>
	`${median.toFixed(digits)} (${min.toFixed(digits)} – ${max.toFixed(digits)})`;

export function render(report) {
	const bold = process.stdout.isTTY && !process.env.NO_COLOR ? (words) => `\x1b[1m${words}\x1b[0m` : (words) => words;
	const { machine } = report;
	const lines = [`${machine.cpu}, Linux ${machine.kernel}; ${report.rounds} rounds, one processor`];
	for (const name of report.cases) {
		const rows = report.results.filter((one) => one.case === name);
		if (rows.length === 0) continue;
		const live = rows[0].kind !== "packet";
		const base = rows[0].kind === "arriving" ? BARE_ATTACHED : BARE;
		const bare = new Map(rows.filter((one) => one.subject === base).map((one) => [one.round, one.ns]));
		const own = (subject) => rows.filter((one) => one.subject === subject);
		const net = (one) => Math.max(1, one.ns - bare.get(one.round)); // a nanosecond is the clock's resolution
		const ours = new Map(own("shunt").map((one) => [one.round, net(one)]));
		lines.push(
			"",
			bold(
				`${name.padEnd(30)}${live ? "Mpps".padEnd(26) : "ns a packet, net".padEnd(26)}${live ? "of the bare one's rate" : "shunt ÷ this one"}`,
			),
		);
		for (const subject of report.subjects) {
			const values = own(subject);
			if (values.length === 0) continue;
			if (live) {
				const rate = spread(values.map((one) => 1000 / one.ns));
				const part = spread(values.map((one) => bare.get(one.round) / one.ns));
				const lost =
					values[0].loss === undefined
						? ""
						: `   loss ${(100 * spread(values.map((one) => one.loss)).median).toFixed(2)} %`;
				lines.push(`  ${subject.padEnd(28)}${text(rate, 2).padEnd(26)}${text(part, 2)}${lost}`);
				continue;
			}
			if (subject === BARE) {
				lines.push(`  ${"(wrapper and bare XDP_TX)".padEnd(28)}${text(spread(values.map((one) => one.ns)))}`);
				continue;
			}
			const ratio = subject === "shunt" ? "" : text(spread(values.map((one) => ours.get(one.round) / net(one))), 2);
			const held =
				values[0].held === undefined
					? ""
					: `   established sessions kept: ${(100 * Math.min(...values.map((one) => one.held))).toFixed(1)} %`;
			lines.push(`  ${subject.padEnd(28)}${text(spread(values.map(net))).padEnd(26)}${ratio}${held}`);
		}
	}
	return lines.join("\n");
}
