// program.ts - every command of `shunt`: its words, its options, its help.
//
// Owns: the command line. Each command's work stands in a file of its own, loaded when it is asked for, so that
// `shunt check` loads neither the addon nor a daemon.
// Must never: do any work itself.

import { Command, InvalidArgumentError, Option } from "commander";
import { VERSION } from "../api/version.js";
import { parseDuration, parseSpeed } from "../config/quantities.js";
import { STRATEGY_NAMES } from "../policy/strategy/index.js";

const HELP_WIDTH = 80;

const EXAMPLES = `
Examples:
  shunt check shunt.yaml                                  is it right, and what would it publish?
  sudo shunt gateway --config shunt.yaml --name g1        on the gateway
  sudo shunt backend --config shunt.yaml --name b1        on each backend
  sudo shunt status --watch                               who serves whom, now
  sudo shunt explain udp 198.51.100.7:4000 203.0.113.53:53
  sudo shunt dump -i eth0 --filter "udp port 6081" --config shunt.yaml

Every command has --help, and --json for programs. Exit statuses: 0 done,
1 failed, 2 wrong input, 3 this host lacks something, 4 the daemon is not there,
or there already.`;

export function buildProgram(): Command {
	const program = new Command("shunt")
		.description("A packet-level redirector: the gateway serves the first packets, then leaves the way.")
		.version(`shunt ${VERSION}`, "-V, --version", "print the version")
		.helpOption("-h, --help", "print this help")
		.helpCommand(false)
		.enablePositionalOptions()
		.configureHelp({ sortOptions: true, subcommandTerm: (command) => command.name() })
		.addHelpText("after", EXAMPLES)
		.exitOverride()
		// What went wrong is told in one place: failure.ts.
		.configureOutput({ outputError: () => {}, getOutHelpWidth: () => HELP_WIDTH, getErrHelpWidth: () => HELP_WIDTH });
	servers(program);
	clients(program);
	questions(program);
	configuration(program);
	packets(program);
	rest(program);
	return program;
}

function servers(program: Command): void {
	program.commandsGroup("Servers:");
	for (const role of ["gateway", "backend"] as const) {
		const does =
			role === "gateway"
				? "take packets for services, and send each to the right backend"
				: "take packets out of the tunnel, and hand them to the local services";
		withJson(program.command(role).summary(does), "one JSON object for each event")
			.description(
				`Runs a ${role} in the foreground: ${does}. SIGHUP reloads the configuration; SIGINT and SIGTERM end it and leave the host as it was.`,
			)
			.requiredOption("-c, --config <file>", "the cluster's configuration")
			.option("-n, --name <name>", `which ${role} of the configuration this host is`)
			.option("-s, --socket <path>", "where it is asked (default: /run/shunt/<name>.sock)")
			.action(async (options) => (await import("./daemon.js")).daemon(role, options));
	}
	toDaemon(program.command("reload").summary("have a daemon read its configuration again"))
		.description("Has a daemon read its configuration again. A file with a mistake changes nothing; sessions stay.")
		.action(async (options) => (await import("./reload.js")).reload(options));
	toDaemon(program.command("stop").summary("end a daemon; the kernel's engine may go on"))
		.description(
			"Ends a daemon and leaves the host as it was. With --keep the kernel's engine goes on serving packets, and the next daemon of this name takes over its sessions: an upgrade without a loss.",
		)
		.option("--keep", "leave the kernel's engine at work")
		.action(async (options) => (await import("./stop.js")).stop(options));
}

function clients(program: Command): void {
	program.commandsGroup("Clients:");
	withJson(
		program.command("client").summary("redirect this host's applications, which need not know of it"),
		"one JSON object for each event",
	)
		.description(
			"Redirects this host's own packets for the services named to the backends that their gateway tells it, by BPF programs on the interfaces. Runs in the foreground; SIGINT and SIGTERM end it and leave the host as it was.",
		)
		.requiredOption("-i, --interface <name...>", "where packets for the services leave")
		.requiredOption("--service <service...>", "udp/ADDRESS:PORT or tcp/ADDRESS:PORT")
		.option("--target-prefix <prefix...>", "targets may be here only; needed for private ones of a public service")
		.option("--source <address>", "the host's address to ask from (default: as the route says)")
		.option("--control-port <port>", "where gateways are asked (default: 3575)", whole)
		.option("--cache <file>", "remember redirections from run to run")
		.addHelpText(
			"after",
			"\nExample:\n  sudo shunt client -i eth0 --service udp/203.0.113.53:53 --target-prefix 10.77.0.0/16",
		)
		.action(async (options) => (await import("./client.js")).client(options));
}

function questions(program: Command): void {
	program.commandsGroup("Questions to a daemon:");
	toDaemon(program.command("status").summary("who serves whom, and what became of every packet"))
		.description("Shows who serves whom, by what reasons packets left, and that none is missing.")
		.option("-a, --all", "services and targets without traffic too")
		.option("-w, --watch [seconds]", "again and again, with rates (default: every second)", positive)
		.action(async (options) => (await import("./status.js")).status(options));
	toDaemon(program.command("sessions").summary("live sessions: listed, counted, ended"))
		.description("Lists live sessions, the latest first; or counts them, or ends them by hand.")
		.option("--service <name>", "of this service only")
		.option("--backend <name>", "with this backend only")
		.option("--source <address>", "from this address only")
		.option("--idle <duration>", "idle for at least so long: 500ms, 30s, 2m", durationMs)
		.option("--limit <count>", "at most so many (default: 100)", whole)
		.addOption(new Option("--count", "how many there are of each service and backend").conflicts("limit"))
		.addOption(new Option("--expire", "end them: their next packets choose anew").conflicts(["limit", "count"]))
		.option("-a, --all", "with --expire: every session there is")
		.action(async (options) => (await import("./sessions.js")).sessions(options));
	toDaemon(program.command("explain").summary("what would happen to a packet, and why"))
		.description("Says what would happen to the next packet of a flow, and why; nothing is sent or changed.")
		.argument("<protocol>", "udp or tcp")
		.argument("<source>", "the client's ADDRESS:PORT")
		.argument("<destination>", "the service's ADDRESS:PORT; IPv6 as [2001:db8::1]:53")
		.addHelpText("after", "\nExample:\n  sudo shunt explain udp [2001:db8:100::7]:4000 [2001:db8:53::53]:53")
		.action(async (protocol, source, destination, options) =>
			(await import("./explain.js")).explain(protocol, source, destination, options),
		);
}

function configuration(program: Command): void {
	program.commandsGroup("Configuration:");
	withJson(program.command("check").summary("is a configuration right, and what would it publish?"))
		.description(
			"Prints every problem as file:line:column: field sentence, or what would be published. Needs no privilege.",
		)
		.argument("<file...>", "configurations")
		.action(async (files, options) => (await import("./check.js")).check(files, options));
	withJson(program.command("schema").summary("the configuration's JSON Schema, for editors"), "it is JSON anyway")
		.description("Prints the configuration's JSON Schema (2020-12), for editors.")
		.action(async () => (await import("./schema.js")).schema());
	simulation(program);
}

function simulation(program: Command): void {
	withJson(program.command("simulate").summary("what would become of so many clients?"))
		.description(
			"Simulates clients, backends and gateways, deterministic from a seed, around the policy that the daemon runs: balance, oscillation, disruption, and what gateways carry. Needs no privilege.",
		)
		.addOption(new Option("--choose <how>", "as of a service").choices(STRATEGY_NAMES).default("least-load"))
		.option("--backends <count>", "up to 1000", whole, 100)
		.option("--clients <count>", "that come in the whole time, up to 10000000", whole, 100_000)
		.option("--time <seconds>", "the second half is measured", whole, 600)
		.option("--life <seconds>", "of a session, in the mean", positive, 60)
		.option("--heavy", "most lives short, a few very long")
		.option("--gateways <count>", "each with tables of its own", whole, 2)
		.option("--lease <seconds>", "of redirected clients; 0: none is redirected", zeroOrMore, 0)
		.option("--packets <count>", "of a client in a second", positive, 10)
		.option("--unequal <ratio>", "the strongest backend's capacity over the weakest's", positive, 1)
		.option("--churn <count>", "backends that leave or join in a minute", zeroOrMore, 0)
		.option("--stale <count>", "backends that stop reporting after a third", zeroOrMore, 0)
		.option("--loss <part>", "of all reports, from 0 to 1", zeroOrMore, 0)
		.option("--uplinks <speeds>", "of each backend, such as 100Mbit,10Mbit", speeds)
		.option("--use <part>", "of the uplinks, by the sessions", positive, 0.5)
		.option("--foreign <speed>", "of somebody else, on the first uplink", speed)
		.option("--seed <number>", "the same seed, the same run", whole, 1)
		.option("--plot <file>", "draw it, as SVG")
		.action(async (options) => (await import("./simulate.js")).simulate(options));
}

function packets(program: Command): void {
	program.commandsGroup("Packets:");
	withJson(
		program.command("dump").summary("decode packets like tcpdump, redirection header included"),
		"one JSON object for each packet",
	)
		.description(
			"Decodes packets of an interface or a file like tcpdump, a line for each, redirection header included.",
		)
		.addOption(new Option("-i, --interface <name>", "live, from this interface, or any").conflicts("read"))
		.option("-r, --read <file>", "from a pcap or pcapng file; - is standard input")
		.option("-w, --write <file>", "write them to a pcap file instead; - is standard output")
		.option("-c, --count <count>", "end after so many packets", whole)
		.option("-x, --hex", "with each packet's bytes, from the IP header on")
		.option("-f, --filter <expression>", "only these, as of pcap-filter(7)")
		.option("--config <file>", "verify tags with this configuration's keys")
		.option("--protocol <name>", "XDP: udp, tcp, icmp, icmp6 or a number only")
		.option("--source <prefix>", "XDP: from this address or prefix only")
		.option("--source-port <port>", "XDP: from this port only", whole)
		.option("--destination <prefix>", "XDP: to this address or prefix only")
		.option("--destination-port <port>", "XDP: to this port only", whole)
		.option("--reason <name...>", "XDP: that left by one of these reasons")
		.option("--verdict <name...>", "XDP: of one of these verdicts: drop, say")
		.option("--rate <count>", "XDP: at most so many a second (1000; to a file 20000)", whole)
		.addOption(new Option("--stage <which>", "XDP: as they came, left, or both").choices(["before", "after", "both"]))
		.addHelpText(
			"after",
			`
Behind a redirection header stands what its tag is worth: tag ok, tag WRONG, or
tag unverified (without --config, or under a key that it does not have).

Where Shunt's XDP program runs on the interface, each packet is shown before and
after it, with verdict and reason, and -w writes pcapng, with room for both.

Examples:
  sudo shunt dump -i eth0 --source 198.51.100.7 --verdict forward drop
  sudo shunt dump -i eth0 --filter "udp port 6081" --config shunt.yaml
  shunt dump -r packets.pcap -x
  ssh host sudo shunt dump -i eth0 -w - | shunt dump -r -`,
		)
		.action(async (options) => (await import("./dump.js")).dump(options));
	withJson(program.command("reasons").summary("every way a packet can leave, in words"))
		.description("Lists every way a packet can leave: the names that status and explain use, with their verdicts.")
		.action(async (options) => (await import("./reasons.js")).listReasons(options));
}

function rest(program: Command): void {
	program.commandsGroup("More:");
	program
		.command("lab")
		.summary("a small internet of network namespaces, to try things in")
		.description(
			"Runs scripts/lab: up, down, status, services up|down, exec HOST COMMAND, picture. `shunt lab help` tells more.",
		)
		.argument("[words...]")
		.usage("up|down|status|services|exec|picture ...")
		.passThroughOptions()
		.allowUnknownOption()
		.action(async (words) => (await import("./lab.js")).lab(words.length === 0 ? ["help"] : words));
	program
		.command("help")
		.summary("print the help of a command")
		.argument("[command]")
		.action((name?: string) => {
			const of = program.commands.find((one) => one.name() === name);
			if (name !== undefined && of === undefined) program.error(`unknown command '${name}'`);
			(of ?? program).outputHelp();
		});
	withJson(program.command("version").summary("print the version"))
		.description("Prints the version.")
		.action((options) => {
			const versions = { version: VERSION, node: process.versions.node };
			process.stdout.write(`${options.json ? JSON.stringify(versions) : `shunt ${VERSION}`}\n`);
		});
}

function withJson(command: Command, what = "the answer as JSON"): Command {
	return command.option("--json", what);
}

function toDaemon(command: Command): Command {
	return withJson(command)
		.option("-s, --socket <path>", "of the daemon that is asked")
		.option("-n, --name <name>", "the same, by name (default: the only daemon on this host)");
}

function whole(text: string): number {
	const value = Number(text);
	if (!/^[0-9]+$/.test(text) || value < 1 || !Number.isSafeInteger(value))
		throw new InvalidArgumentError("It is a whole number from 1 on");
	return value;
}

function zeroOrMore(text: string): number {
	const value = Number(text);
	if (text.trim() === "" || !(value >= 0 && value <= 1e6)) throw new InvalidArgumentError("It is a number from 0 on");
	return value;
}

function speed(text: string): number {
	const value = parseSpeed(text);
	if (value === undefined) throw new InvalidArgumentError("It is a speed with its unit, such as 100Mbit or 10Gbit");
	return value;
}

function speeds(text: string): number[] {
	return text.split(",").map((one) => speed(one.trim()));
}

function durationMs(text: string): number {
	const ms = parseDuration(text);
	if (ms === undefined) throw new InvalidArgumentError("It is a duration with its unit, such as 500ms, 30s or 2m");
	return Math.round(ms);
}

function positive(text: string): number {
	const value = Number(text);
	if (!(value >= 0.1 && value <= 86_400)) throw new InvalidArgumentError("It is a number of seconds from 0.1 on");
	return value;
}
