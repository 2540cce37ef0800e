#!/usr/bin/env node
/**
 * The command `shunt`.
 *
 * Owns: the list of commands and options, and the last word on errors: one sentence, a hint, the exit status of the table in
 * src/errors.ts. Each command is loaded when it is called, so that `check` needs no addon.
 * Must never: do a command's work.
 */
import { Command, Option } from "commander";
import { EXIT, ShuntError } from "../errors.js";
import { paint } from "./print.js";

const EXAMPLES = `
Examples:
  shunt check shunt.yaml                                  every problem, with line and column
  sudo shunt gateway --config shunt.yaml --name g1        on the gateway
  sudo shunt backend --config shunt.yaml --name b1        on each backend
  sudo shunt status                                       who serves whom, and every packet accounted for
  sudo shunt explain udp 198.51.100.7:4000 203.0.113.10:27015
  sudo shunt dump -i eth0                                 like tcpdump, redirection header included
`;

const program = new Command("shunt")
	.description("A packet-level redirector: the gateway serves the first packets, then leaves the way.")
	.addHelpText("after", EXAMPLES)
	.showHelpAfterError("(shunt --help lists the commands)")
	.configureOutput({ outputError: (text, write) => write(paint("red", text)) })
	.enablePositionalOptions()
	.exitOverride();

const json = () => new Option("--json", "answer in JSON");
const socket = () => new Option("--socket <path>", "control socket of the daemon (default: the one under /run/shunt)");

for (const role of ["gateway", "backend"] as const) {
	program
		.command(role)
		.description(
			role === "gateway" ? "take packets for the services, and redirect them" : "serve what gateways send here",
		)
		.requiredOption("-c, --config <file>", "the cluster's configuration")
		.option("-n, --name <name>", `which ${role} of it this host is (default: the only one)`)
		.addOption(socket())
		.addOption(json())
		.action(async (options) => (await import("./daemon.js")).daemon(role, options));
}

program
	.command("check")
	.description("read configurations, and say every problem with its place")
	.argument("<file...>")
	.addOption(json())
	.action(async (files, options) => (await import("./check.js")).check(files, options));

program
	.command("status")
	.description("who serves whom, and how every packet left")
	.addOption(socket())
	.option("-w, --watch", "again each second, until Ctrl-C")
	.addOption(json())
	.action(async (options) => (await import("./status.js")).status(options));

program
	.command("sessions")
	.description("the clients that are there, and who serves them")
	.option("--service <name>", "of this service")
	.option("--backend <name>", "served by this backend")
	.option("--source <address>", "of this client")
	.option("--limit <number>", "at most so many", "100")
	.addOption(socket())
	.addOption(json())
	.action(async (options) => (await import("./sessions.js")).sessions(options));

program
	.command("explain")
	.description("what would happen to a flow's next packet, and why")
	.argument("<protocol>", "udp or tcp")
	.argument("<source>", "ADDRESS:PORT, or [ADDRESS]:PORT")
	.argument("<destination>", "likewise")
	.addOption(socket())
	.addOption(json())
	.action(async (protocol, source, destination, options) =>
		(await import("./explain.js")).explain(protocol, source, destination, options),
	);

program
	.command("dump")
	.description("decode packets, live or from a pcap file, redirection header included")
	.option("-i, --interface <name>", "capture live on this interface (root)")
	.option("-r, --read <file>", "read this pcap file")
	.option("-w, --write <file>", "write the packets to this pcap file as well")
	.option("-f, --filter <expression>", "only what this pcap filter lets through")
	.option("-n, --count <number>", "stop after so many packets")
	.option("-x, --hex", "the bytes as well")
	.option("-c, --config <file>", "verify tags with this configuration's keys")
	.addOption(json())
	.action(async (options) => (await import("./dump.js")).dump(options));

program
	.command("reload")
	.description("have a daemon read its configuration again")
	.addOption(socket())
	.addOption(json())
	.action(async (options) => (await import("./reload.js")).reload(options));

program
	.command("reasons")
	.description("every way a packet can leave, and what it means")
	.addOption(json())
	.action(async (options) => (await import("./reasons.js")).showReasons(options));

program
	.command("schema")
	.description("the JSON Schema of the configuration, for editors")
	.action(async () => (await import("./check.js")).schema());

program
	.command("lab")
	.description("a lab of network namespaces: up, down, status, exec HOST COMMAND, services up|down")
	.argument("<command...>")
	.allowUnknownOption()
	.passThroughOptions()
	.action(async (args) => (await import("./lab.js")).lab(args));

program
	.command("version")
	.description("the version")
	.addOption(json())
	.action(async (options) => (await import("./reasons.js")).showVersion(options));

try {
	await program.parseAsync();
} catch (error) {
	fail(error);
}

function fail(error: unknown): void {
	const code = (error as { code?: string }).code;
	if (code?.startsWith("commander.")) {
		// It has said what was wrong, or shown the help that was asked for.
		process.exitCode = (error as { exitCode: number }).exitCode === 0 ? 0 : EXIT.input;
		return;
	}
	process.exitCode = error instanceof ShuntError ? error.exitStatus : EXIT.failed;
	if (process.argv.includes("--json")) {
		const told = error instanceof ShuntError ? error.toJSON() : { code: "SHUNT_INTERNAL", message: String(error) };
		process.stderr.write(`${JSON.stringify({ error: told })}\n`);
	} else {
		const message = error instanceof Error ? error.message : String(error);
		process.stderr.write(`${paint("red", message)}\n`);
		if (error instanceof ShuntError) process.stderr.write(`${paint("dim", error.hint)}\n`);
	}
	if (process.env.SHUNT_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}
