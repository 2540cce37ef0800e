// goodput.mjs - three uploads to three backends behind one gateway, every link shaped alike: what they reach together.
//
// Owns: the shaping, the servers and the order of the paths. Must never: leave a link shaped.

import { spawn } from "node:child_process";

const LINK_MBIT = 20;
const FIRST_PORT = 5211;
/** iperf3's server refuses while it ends another test. */
const TRIES = 20;

/** `bench`: the lab, with its services at `addresses.plain` and `addresses.mptcp`, and rivals at the other addresses. */
export async function goodput(bench, addresses) {
	const shaped = ["gateway", ...bench.backends];
	const results = [];
	const servers = bench.backends.map((host, i) =>
		bench.start(host, ["mptcpize", "run", "iperf3", "--server", "--forceflush", "--port", String(FIRST_PORT + i)]),
	);
	try {
		for (const server of servers) await server.says(/listening/);
		for (const port of shaped)
			// biome-ignore format: one argument per line would hide the command
			bench.inside("router", "tc", "qdisc", "add", "dev", port, "root", "tbf", "rate", `${LINK_MBIT}mbit`, "burst", "32kb", "latency", "50ms");
		const paths = {
			gateway: () => uploads(bench, addresses.plain),
			"nftables DNAT": () => uploads(bench, addresses.dnat),
			"nginx stream": () => uploads(bench, addresses.nginx),
			"under the agent": () => underAgent(bench, addresses.plain),
			MPTCP: () => uploads(bench, addresses.mptcp, ["mptcpize", "run"]),
		};
		const rounds = bench.quick ? 1 : 3;
		for (let round = 0; round < rounds; round++)
			for (const [way, upload] of Object.entries(paths)) {
				bench.say(`goodput, round ${round + 1} of ${rounds}: ${way}`);
				results.push({ round, way, linkMbit: LINK_MBIT, mbit: await upload() });
			}
	} finally {
		for (const port of shaped) bench.insideMayFail("router", "tc", "qdisc", "del", "dev", port, "root");
		for (const server of servers) server.child.kill("SIGTERM");
	}
	return results;
}

async function underAgent(bench, address) {
	const ports = bench.backends.map((_, i) => FIRST_PORT + i);
	const agent = await bench.agent(
		ports.map((port) => `tcp/${address}:${port}`),
		"198.51.100.7",
	);
	try {
		// The first connection goes by the gateway, and brings the lease.
		for (const port of ports) await iperf(bench, address, port, 1, []);
		const redirects = () => agent.output.split('"event":"redirect"').length - 1;
		for (let tries = 0; redirects() < ports.length && tries < 200; tries++)
			await new Promise((resolve) => setTimeout(resolve, 50));
		if (redirects() < ports.length)
			throw new Error(`the agent was redirected ${redirects()} times, not ${ports.length}`);
		return await uploads(bench, address);
	} finally {
		await bench.end(agent.child);
	}
}

/** Mbit/s of all together. */
async function uploads(bench, address, prefix = []) {
	const seconds = bench.quick ? 3 : 8;
	const each = await Promise.all(bench.backends.map((_, i) => iperf(bench, address, FIRST_PORT + i, seconds, prefix)));
	return each.reduce((sum, one) => sum + one, 0);
}

/** Mbit/s that the server has received. */
async function iperf(bench, address, port, seconds, prefix) {
	// biome-ignore format: one argument per line would hide the command
	const args = [
		"netns", "exec", bench.namespace("client"), ...prefix,
		"iperf3", "--client", address, "--port", String(port), "--time", String(seconds), "--json",
	];
	for (let tries = 1; ; tries++) {
		const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
		let said = "";
		child.stdout.on("data", (text) => {
			said += text;
		});
		await new Promise((resolve) => child.once("close", resolve));
		const { end, error } = JSON.parse(said || "{}");
		if (end?.sum_received !== undefined) return end.sum_received.bits_per_second / 1e6;
		if (tries === TRIES || !String(error).includes("busy")) throw new Error(`iperf3 to ${address}:${port}: ${error}`);
		await new Promise((resolve) => setTimeout(resolve, 500));
	}
}
