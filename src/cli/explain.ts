/**
 * `shunt explain`: what would happen to a flow's next packet, and why.
 */
import { ShuntError } from "../errors.js";
import { paint, say, sayJson } from "./print.js";
import { client } from "./socket.js";

export async function explain(
	protocol: string,
	source: string,
	destination: string,
	options: { socket?: string; json?: boolean },
): Promise<void> {
	const from = split(source, "source");
	const to = split(destination, "destination");
	const told = await client(options).explain({
		protocol,
		source: from.address,
		sourcePort: from.port,
		destination: to.address,
		destinationPort: to.port,
	});
	if (options.json) return sayJson(told);
	const colour = told.verdict === "drop" ? "red" : told.verdict === "forward" ? "green" : "yellow";
	say(`${protocol} ${source} > ${destination}: ${paint(colour, told.verdict)}, ${told.reason}`);
	say(paint("dim", `  ${told.text}`));
	for (const sentence of told.why) say(`  ${sentence}`);
}

/** ADDRESS:PORT, or [ADDRESS]:PORT. */
function split(text: string, what: string): { address: string; port: number } {
	const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
	const address = match?.[1] ?? match?.[2];
	if (address === undefined)
		throw new ShuntError("SHUNT_USAGE", { what: `The ${what} ${text} is not ADDRESS:PORT or [ADDRESS]:PORT.` });
	return { address, port: Number(match?.[3]) };
}
