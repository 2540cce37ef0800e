// program.ts - every command of `shunt`: its arguments, options and help.
//
// Owns: the command line. Each command is implemented in a file of its own that is loaded when the command runs, so
// that `shunt check` loads neither the addon nor a daemon.
// Must never: do any work itself.

import { Command, Option } from "commander";
import { VERSION } from "../api/version.js";
import { STRATEGY_NAMES } from "../policy/strategy/index.js";
import {
	durationMs,
	flaps,
	fraction,
	moments,
	port,
	rate,
	ratio,
	seconds,
	speed,
	speeds,
	wholeNumber,
} from "./arguments.js";
import { databaseCommands } from "./database-commands.js";

const HELP_WIDTH = 80;

const EXAMPLES = `
Examples:
  shunt check shunt.yaml                                  check a configuration
  sudo shunt gateway --config shunt.yaml --name g1        on the gateway
  sudo shunt backend --config shunt.yaml --name b1        on each backend
  sudo shunt status --watch                               services, targets, rates
  sudo shunt explain udp 198.51.100.7:4000 203.0.113.53:53
  sudo shunt dump -i eth0 --filter "udp port 6081" --config shunt.yaml

Every command has --help, and --json for programs. Exit status: 0 success,
1 failure, 2 invalid input, 3 the host lacks something, 4 the daemon is not
running, or is running already.`;

export function buildProgram(): Command {
	const program = new Command("shunt")
		.description("A packet-level redirector: the gateway serves the first packets, then gets out of the path.")
		.version(`shunt ${VERSION}`, "-V, --version", "print the version")
		.helpOption("-h, --help", "print this help")
		.helpCommand(false)
		.enablePositionalOptions()
		.configureHelp({ sortOptions: true, subcommandTerm: (command) => command.name() })
		.addHelpText("after", EXAMPLES)
		.exitOverride()
		// Errors are printed in one place: failure.ts.
		.configureOutput({ outputError: () => {}, getOutHelpWidth: () => HELP_WIDTH, getErrHelpWidth: () => HELP_WIDTH });
	memberCommands(program);
	overrideCommands(program);
	clientCommands(program);
	queryCommands(program);
	configurationCommands(program);
	databaseCommands(program);
	packetCommands(program);
	otherCommands(program);
	return program;
}

function memberCommands(program: Command): void {
	program.commandsGroup("Members:");
	for (const role of ["gateway", "backend"] as const) {
		const purpose =
			role === "gateway"
				? "receive packets for services and forward each to a backend"
				: "decapsulate packets from the tunnel and deliver them to the local services";
		const command = withJson(program.command(role).summary(purpose), "print one JSON object for each event");
		command
			.description(
				`Runs a ${role} in the foreground, to ${purpose}. SIGHUP reloads the configuration; SIGINT and SIGTERM end the daemon and restore the host.`,
			)
			.addOption(new Option("-c, --config <file>", "configuration of the cluster").conflicts("join"))
			.option(
				"--join <url>",
				"in place of --config: the database, such as etcd://10.77.9.1:2379; with --keys and --name",
			)
			.option("--keys <file>", "with --join: a file with the cluster's { seed, keys }")
			.option("-n, --name <name>", `name of this host among the ${role}s of the configuration`)
			.option("-s, --socket <path>", "path of the control socket (default: /run/shunt/<name>.sock)")
			.action(async (options) => (await import("./daemon.js")).daemon(role, options));
		if (role === "backend")
			command.option("--address <address...>", "with --join: add this backend to the database, if it is not there");
	}
	toDaemon(program.command("reload").summary("make a daemon read its configuration again"))
		.description(
			"Makes a daemon read its configuration again. Sessions are kept; an invalid configuration changes nothing.",
		)
		.action(async (options) => (await import("./reload.js")).reload(options));
	toDaemon(program.command("stop").summary("end a daemon"))
		.description(
			"Ends a daemon and restores the host. A backend drains first: gateways send it no new sessions, and it ends when it has none left, or at the deadline. With --keep the kernel engine continues to serve packets, and the next daemon of this name takes over its sessions: an upgrade without loss.",
		)
		.addOption(new Option("--keep", "leave the kernel engine running").conflicts(["now", "deadline"]))
		.addOption(new Option("--now", "a backend does not drain first").conflicts("deadline"))
		.option("--deadline <duration>", "end a backend after this time at the latest (default: 30s)", durationMs)
		.action(async (options) => (await import("./stop.js")).stop(options));
}

function overrideCommands(program: Command): void {
	program.commandsGroup("Backends at run time:");
	const overriding = (command: Command) =>
		toDaemon(command)
			.option("--plan", "show what it would move, and change nothing")
			.option("--force", "even if a service is left without an active backend");
	overriding(program.command("drain").summary("give a backend no new sessions"))
		.description(
			"Gives a backend no new sessions; it keeps those it has. At the backend's own daemon all gateways follow, at a gateway's that gateway alone. The file is not changed; the command holds over restarts and reloads until undrain.",
		)
		.argument("<backend>", "name of the backend")
		.option("--deadline <duration>", "after this time its remaining sessions choose anew", durationMs)
		.action(async (backend, options) => (await import("./override.js")).drain(backend, options));
	overriding(program.command("undrain").summary("end a drain"))
		.description("Ends the drain of a backend that the command drain began.")
		.argument("<backend>", "name of the backend")
		.action(async (backend, options) => (await import("./override.js")).undrain(backend, options));
	overriding(program.command("weight").summary("change a backend's weight in a service"))
		.description(
			"Changes a backend's weight in a service, in all of its rules; 0 gives it no new sessions of that service. As with drain, the file is not changed.",
		)
		.argument("<service>", "name of the service")
		.argument("<backend>", "name of the backend")
		.argument("[weight]", "0 to 1000", wholeNumber(0, 1000))
		.option("--reset", "back to the file's weight")
		.action(async (service, backend, weight, options) =>
			(await import("./override.js")).weight(service, backend, weight, options),
		);
}

function clientCommands(program: Command): void {
	program.commandsGroup("Clients:");
	withJson(
		program.command("client").summary("redirect the packets of this host's applications"),
		"print one JSON object for each event",
	)
		.description(
			"Redirects this host's own packets for the given services to the backends that their gateway names, by BPF programs on the interfaces; applications need no change. Runs in the foreground; SIGINT and SIGTERM end it and restore the host.",
		)
		.requiredOption("-i, --interface <name...>", "interfaces where packets for the services leave")
		.requiredOption("--service <service...>", "services: udp/ADDRESS:PORT or tcp/ADDRESS:PORT")
		.option(
			"--target-prefix <prefix...>",
			"accept redirects to these prefixes only; required where a public service has private targets",
		)
		.option("--source <address>", "source address of queries to the gateway (default: by the route)")
		.option("--control-port <port>", "UDP port where gateways answer queries (default: 3575)", port)
		.option("--cache <file>", "file that keeps redirections from run to run")
		.option(
			"--drain <duration>",
			"at the end, wait at most this long for redirected connections (default: 30s; 0s: end at once)",
			durationMs,
		)
		.addHelpText(
			"after",
			"\nExample:\n  sudo shunt client -i eth0 --service udp/203.0.113.53:53 --target-prefix 10.77.0.0/16",
		)
		.action(async (options) => (await import("./client.js")).client(options));
}

function queryCommands(program: Command): void {
	program.commandsGroup("Queries to a daemon:");
	toDaemon(program.command("status").summary("show services, their targets and what happened to every packet"))
		.description(
			"Shows which targets serve which services, the reasons by which packets left, and whether every packet is accounted for.",
		)
		.option("-a, --all", "include services and targets without traffic")
		.option("-w, --watch [seconds]", "repeat at this interval, with rates (default: 1)", seconds(0.1, 86_400))
		.option("--wait", "wait until the daemon is ready: routing may lead packets to it")
		.option("--timeout <duration>", "with --wait: give up after this time (default: 30s)", durationMs)
		.action(async (options) => (await import("./status.js")).status(options));
	toDaemon(
		program.command("health").summary("show what a gateway observes of its backends, and the probes of services"),
	)
		.description(
			"Shows every check of every backend: its load reports, its daemon's word about each service's socket, probes and clients' failure reports, with the reason. On a backend: services at whose ports nothing listens.",
		)
		.option("-w, --watch [seconds]", "repeat at this interval (default: 1)", seconds(0.1, 86_400))
		.action(async (options) => (await import("./health.js")).health(options));
	toDaemon(program.command("sessions").summary("list, count or expire live sessions"))
		.description("Lists live sessions, the most recently active first; or counts or expires them.")
		.option("--service <name>", "sessions of this service only")
		.option("--backend <name>", "sessions with this backend only")
		.option("--source <address>", "sessions from this source address only")
		.option("--idle <duration>", "sessions idle for at least this time: 500ms, 30s, 2m", durationMs)
		.option("--unhealthy", "sessions whose target is unhealthy only")
		.option("--limit <count>", "list at most this many (default: 100)", wholeNumber(1))
		.addOption(new Option("--count", "count sessions by service and backend").conflicts("limit"))
		.addOption(
			new Option("--expire", "expire them: each one's next packet is placed anew").conflicts(["limit", "count"]),
		)
		.option("-a, --all", "with --expire: expire every session")
		.action(async (options) => (await import("./sessions.js")).sessions(options));
	toDaemon(program.command("explain").summary("explain what would happen to a packet, and why"))
		.description("Explains what would happen to the next packet of a flow, and why. Nothing is sent or changed.")
		.argument("<protocol>", "udp or tcp")
		.argument("<source>", "ADDRESS:PORT of the client")
		.argument("<destination>", "ADDRESS:PORT of the service; IPv6 as [2001:db8::1]:53")
		.addHelpText("after", "\nExample:\n  sudo shunt explain udp [2001:db8:100::7]:4000 [2001:db8:53::53]:53")
		.action(async (protocol, source, destination, options) =>
			(await import("./explain.js")).explain(protocol, source, destination, options),
		);
}

function configurationCommands(program: Command): void {
	program.commandsGroup("Configuration:");
	withJson(program.command("check").summary("check a configuration and show what it publishes"))
		.description(
			"Prints every problem as file:line:column: field: problem or, of a valid configuration, what it would publish. Needs no privilege. With --live it asks a daemon on this host instead: whether it and the members that it hears have the same configuration, keys, clock and version.",
		)
		.argument("[file...]", "configurations to check")
		.option("--live", "check a running daemon and the members that it hears")
		.option("-s, --socket <path>", "with --live: control socket of the daemon")
		.option("-n, --name <name>", "with --live: name of the daemon (default: the only daemon on this host)")
		.action(async (files, options) =>
			options.live
				? (await import("./check-live.js")).checkLive(files, options)
				: (await import("./check.js")).check(files, options),
		);
	withJson(program.command("schema").summary("print the configuration's JSON Schema"), "no effect: the answer is JSON")
		.description("Prints the JSON Schema (2020-12) of the configuration, for editors.")
		.action(async () => (await import("./schema.js")).schema());
	simulateCommand(program);
}

function simulateCommand(program: Command): void {
	withJson(program.command("simulate").summary("simulate clients, backends and gateways"))
		.description(
			"Simulates clients, backends and gateways with the policy that the daemon runs, and measures balance, oscillation, disruption and the gateways' share of packets. The same seed gives the same run. Needs no privilege.",
		)
		.addOption(
			new Option("--choose <strategy>", "balancing strategy, as of a service")
				.choices(STRATEGY_NAMES)
				.default("least-load"),
		)
		.option("--backends <count>", "number of backends", wholeNumber(1, 1000), 100)
		.option("--clients <count>", "number of clients that arrive in the whole run", wholeNumber(1, 10_000_000), 100_000)
		.option(
			"--time <seconds>",
			"length of the run; its second half is measured",
			wholeNumber(1, 86_400, "seconds"),
			600,
		)
		.option("--life <seconds>", "mean length of a session", seconds(0.1, 86_400), 60)
		.option("--heavy", "draw lengths from a heavy-tailed distribution: most short, a few very long")
		.option("--gateways <count>", "number of gateways, each with its own tables", wholeNumber(1, 16), 2)
		.option("--lease <seconds>", "lease of redirected clients; 0: clients are not redirected", seconds(0, 1_000_000), 0)
		.option("--packets <rate>", "packets per second of a client", rate("packets per second", 1_000_000, false), 10)
		.option("--unequal <ratio>", "capacity of the strongest backend over the weakest", ratio(1000), 1)
		.option("--churn <rate>", "backends that leave or join per minute", rate("backends per minute", 1_000_000, true), 0)
		.option("--stale <count>", "backends that stop reporting after a third of the time", wholeNumber(0, 1000), 0)
		.option(
			"--fail <times>",
			"backends that die, such as b2@30s,b3@1m: they answer no query and serve no packet",
			moments,
		)
		.option("--recover <times>", "backends that return, such as b2@90s", moments)
		.option(
			"--flap <times>",
			"backends that serve for a time and are dead for a time, again and again: b3:10s/5s",
			flaps,
		)
		.option("--loss <fraction>", "fraction of load reports that are lost", fraction, 0)
		.option("--uplinks <speeds>", "uplinks of each backend, such as 100Mbit,10Mbit", speeds(8))
		.option("--use <fraction>", "use of the uplinks by the sessions, as a fraction of their speed", fraction, 0.5)
		.option("--foreign <speed>", "other traffic on the first uplink", speed)
		.option("--seed <number>", "seed of the random numbers", wholeNumber(1, 4_294_967_295), 1)
		.option("--plot <file>", "write a plot of the run to this SVG file")
		.action(async (options) => (await import("./simulate.js")).simulate(options));
}

function packetCommands(program: Command): void {
	program.commandsGroup("Packets:");
	withJson(
		program.command("dump").summary("decode packets like tcpdump, with redirection headers"),
		"print one JSON object for each packet",
	)
		.description(
			"Decodes the packets of an interface or a file, one line each, like tcpdump, with redirection headers.",
		)
		.addOption(new Option("-i, --interface <name>", "capture on this interface, or on any").conflicts("read"))
		.option("-r, --read <file>", "read packets from a pcap or pcapng file (-: standard input)")
		.option("-w, --write <file>", "write packets to a pcap file instead of printing them (-: standard output)")
		.option("-c, --count <count>", "stop after this many packets", wholeNumber(1))
		.option("-x, --hex", "print each packet's bytes from the IP header on")
		.option("-f, --filter <expression>", "capture filter, see pcap-filter(7)")
		.option("--config <file>", "verify tags with the keys of this configuration")
		.option("--protocol <name>", "XDP: packets of udp, tcp, icmp, icmp6 or a protocol number only")
		.option("--source <prefix>", "XDP: packets from this address or prefix only")
		.option("--source-port <port>", "XDP: packets from this port only", port)
		.option("--destination <prefix>", "XDP: packets to this address or prefix only")
		.option("--destination-port <port>", "XDP: packets to this port only", port)
		.option("--reason <name...>", "XDP: packets that left by one of these reasons only")
		.option("--verdict <name...>", "XDP: packets with one of these verdicts only, such as drop")
		.option("--rate <count>", "XDP: at most this many packets a second (1000; to a file 20000)", wholeNumber(1))
		.addOption(
			new Option("--stage <stage>", "XDP: packets as received, as sent, or both").choices(["before", "after", "both"]),
		)
		.addHelpText(
			"after",
			`
Each redirection header is followed by the verdict on its tag: tag ok,
tag WRONG, or tag unverified (without --config, or with a key not in it).

Where Shunt's XDP program runs on the interface, each packet is shown before and
after the program, with verdict and reason; -w then writes pcapng, with both.

Examples:
  sudo shunt dump -i eth0 --source 198.51.100.7 --verdict forward drop
  sudo shunt dump -i eth0 --filter "udp port 6081" --config shunt.yaml
  shunt dump -r packets.pcap -x
  ssh host sudo shunt dump -i eth0 -w - | shunt dump -r -`,
		)
		.action(async (options) => (await import("./dump.js")).dump(options));
	withJson(program.command("reasons").summary("list the reasons by which packets leave"))
		.description("Lists every reason by which a packet can leave, as status and explain name it, with its verdict.")
		.action(async (options) => (await import("./reasons.js")).listReasons(options));
}

function otherCommands(program: Command): void {
	program.commandsGroup("More:");
	program
		.command("lab")
		.summary("run a test network of network namespaces")
		.description(
			"Runs scripts/lab: up, down, status, services up|down, exec HOST COMMAND, picture. See `shunt lab help`.",
		)
		.argument("[arguments...]")
		.usage("up|down|status|services|exec|picture ...")
		.passThroughOptions()
		.allowUnknownOption()
		.action(async (args) => (await import("./lab.js")).lab(args.length === 0 ? ["help"] : args));
	program
		.command("help")
		.summary("print the help of a command")
		.argument("[command]")
		.action((name?: string) => {
			const command = program.commands.find((one) => one.name() === name);
			if (name !== undefined && command === undefined) program.error(`unknown command '${name}'`);
			(command ?? program).outputHelp();
		});
	withJson(program.command("version").summary("print the version"))
		.description("Prints the version.")
		.action((options) => {
			const versions = { version: VERSION, node: process.versions.node };
			process.stdout.write(`${options.json ? JSON.stringify(versions) : `shunt ${VERSION}`}\n`);
		});
}

function withJson(command: Command, description = "print the answer as JSON"): Command {
	return command.option("--json", description);
}

function toDaemon(command: Command): Command {
	return withJson(command)
		.option("-s, --socket <path>", "control socket of the daemon")
		.option("-n, --name <name>", "name of the daemon (default: the only daemon on this host)");
}
