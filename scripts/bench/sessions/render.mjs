// render.mjs - the tables of `npm run bench -- sessions`: median with minimum and maximum, and ratios round by round.
//
// Owns: what is divided by what. A ratio above 1 says how many times ours the other one takes.

const NAMES = {
	shunt4: "shunt, IPv4",
	shunt6: "shunt, IPv6",
	unordered_map: "std::unordered_map",
	conntrack: "nf_conntrack",
};

export function spread(values) {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length / 2;
	const median = sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
	return { median, min: sorted[0], max: sorted.at(-1) };
}

const text = (values, digits = 0) => {
	const { median, min, max } = spread(values);
	return `${median.toFixed(digits)} (${min.toFixed(digits)} – ${max.toFixed(digits)})`;
};

export function render(report) {
	const bold = process.stdout.isTTY && !process.env.NO_COLOR ? (words) => `\x1b[1m${words}\x1b[0m` : (words) => words;
	const { machine } = report;
	return [
		`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, ${machine.node}; ${report.rounds} rounds; median (min – max)`,
		...tables(report, bold),
		...tcpTable(report, bold),
		...linkTable(report, bold),
	].join("\n");
}

function tables({ table, conntrack }, bold) {
	const lines = [];
	for (const sessions of new Set(table.map((one) => one.sessions))) {
		const columns = ["bytes each", "full", "insert, ns", "hit, ns", "sweep, ns a session", "hit ÷ shunt's"];
		lines.push("", bold(row(`${sessions.toLocaleString("en")} sessions`, columns)));
		const of = (subject) => table.filter((one) => one.sessions === sessions && one.subject === subject);
		const base = of("shunt4");
		const ratio = (values) =>
			text(
				values.map((one) => one.hitNs / base.find(({ round }) => round === one.round).hitNs),
				1,
			);
		for (const subject of ["shunt4", "shunt6", "unordered_map"]) {
			const own = of(subject);
			const { bytes, fullSessions, evicted } = own.find(({ round }) => round === 0);
			lines.push(
				row(NAMES[subject], [
					(bytes / sessions).toFixed(1),
					fullSessions > 0 ? (bytes / fullSessions).toFixed(1) : "",
					...["insertNs", "hitNs"].map((name) => text(own.map((one) => one[name]))),
					text(
						own.map((one) => one.sweepNs),
						1,
					),
					subject === "shunt4" ? "" : ratio(own),
				]),
			);
			if (evicted > 0)
				lines.push(
					`    ${evicted.toLocaleString("en")} of these were evicted; the first after ${fullSessions.toLocaleString("en")}`,
				);
		}
		const kernel = conntrack.filter((one) => one.sessions === sessions);
		if (kernel.length === 0) continue;
		if (kernel[0].problem !== undefined) {
			lines.push(`  ${NAMES.conntrack.padEnd(28)}not measured: ${kernel[0].problem}`);
			continue;
		}
		lines.push(
			row(NAMES.conntrack, [
				text(kernel.map((one) => one.bytes)),
				"",
				...["insertNs", "hitNs"].map((name) => text(kernel.map((one) => one[name]))),
				`${text(kernel.map((one) => one.listNs))} *`,
				ratio(kernel),
			]),
		);
	}
	lines.push(
		"",
		"full: with as many sessions as go in before the first is evicted. nf_conntrack's are differences between the same",
		"packets with and without it; its bytes are without extensions (NAT, accounting, helpers), which take more.",
		"* it has no sweep to ask; this is /proc/net/nf_conntrack read once.",
	);
	return lines;
}

function tcpTable({ tcp }, bold) {
	const lines = [];
	for (const sockets of new Set(tcp.map((one) => one.sockets)))
		for (const counted of new Set(tcp.filter((one) => one.sockets === sockets).map((one) => one.counted))) {
			const rows = tcp.filter((one) => one.sockets === sockets && one.counted === counted);
			const ours = new Map(rows.filter((one) => one.subject === "shunt").map((one) => [one.round, one.ns]));
			const number = (value) => value.toLocaleString("en");
			lines.push("", bold(row(`${number(counted)} of ${number(sockets)} sockets`, ["ms", "÷ shunt's"])));
			for (const subject of new Set(rows.map((one) => one.subject))) {
				const own = rows.filter((one) => one.subject === subject);
				lines.push(
					row(subject, [
						text(
							own.map((one) => one.ns / 1e6),
							1,
						),
						subject === "shunt"
							? ""
							: text(
									own.map((one) => one.ns / ours.get(one.round)),
									1,
								),
					]),
				);
			}
		}
	return lines;
}

function linkTable({ link }, bold) {
	const micro = (name) =>
		text(
			link.map((one) => one[name] / 1000),
			1,
		);
	const ratio = (name) =>
		text(
			link.map((one) => one[name] / one.kept),
			1,
		);
	return [
		"",
		bold(row("8 counters of a link", ["µs", "÷ shunt's"])),
		row("shunt, kept descriptors", [micro("kept"), ""]),
		row("shunt, from JavaScript, lo", [micro("addon"), ratio("addon")]),
		row("each file opened", [micro("opened"), ratio("opened")]),
		row("/proc/net/dev", [micro("proc"), ratio("proc")]),
	];
}

function row(name, columns) {
	const widths = [24, 8, 24, 24, 26, 18];
	return `  ${name.padEnd(28)}${columns.map((words, i) => words.padEnd(widths[i])).join("")}`.trimEnd();
}
