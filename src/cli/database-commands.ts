// database-commands.ts - the commands of the redirection database: `plan`, `apply`, `rollback` and `db …`: arguments,
// options and help.
//
// Must never: do any work itself.

import type { Command } from "commander";
import { durationMs, wholeNumber } from "./arguments.js";

export function databaseCommands(program: Command): void {
	program.commandsGroup("Redirection database:");
	const onDatabase = (command: Command) =>
		command
			.option("--json", "print the answer as JSON")
			.option("-c, --config <file>", "the database that this configuration names")
			.option(
				"-d, --database <url>",
				"etcd://HOST:PORT/PREFIX, etcds://HOST:PORT/PREFIX?caFile=FILE (TLS), or embedded:/FOLDER",
			);
	onDatabase(program.command("plan").summary("show what a configuration would change in the database"))
		.description(
			"Compares a configuration with the redirection database: the records that would change, and by service the share of new flows that would choose another backend, how much of it is disruption (more than the shares make necessary), and warnings. Changes nothing. Without --config and --database the file's own database is meant.",
		)
		.argument("<file>", "configuration")
		.action(async (file, options) => (await import("./plan.js")).plan(file, options));
	onDatabase(program.command("apply").summary("put a configuration into the database"))
		.description(
			"Has the redirection database hold the file's settings, gateways, backends and services, as one new version that its members put in force. Secrets stay in the files. Of two operators at once one wins, and the other is told.",
		)
		.argument("<file>", "configuration")
		.option("--planned <version>", "only if the database still has this version", wholeNumber(0))
		.option("--note <text>", "what the history says of it")
		.option("--wait", "wait until every member reports the version")
		.option("--timeout <duration>", "with --wait: give up after this time (default: 30s)", durationMs)
		.action(async (file, options) => (await import("./plan.js")).apply(file, options));
	onDatabase(program.command("rollback").summary("go back to an earlier version of the database"))
		.description(
			"Has the redirection database hold what it held in an earlier version, as a new version. The last 50 are kept.",
		)
		.argument("[version]", "as shunt db history lists it (default: the one before the present)", wholeNumber(1))
		.option("--wait", "wait until every member reports the version")
		.option("--timeout <duration>", "with --wait: give up after this time (default: 30s)", durationMs)
		.action(async (version, options) => (await import("./plan.js")).rollback(version, options));

	const db = program
		.command("db")
		.summary("read, change and watch the redirection database")
		.description(
			"Reads, changes and watches the records of the redirection database: settings, gateway/NAME, backend/NAME and service/NAME, with the fields of a configuration; version; and member/NAME, history/VERSION. --config or --database says where it is.",
		)
		.configureHelp({ subcommandTerm: (command) => command.name() });
	onDatabase(db.command("get").summary("print a record"))
		.description("Prints a record, as YAML.")
		.argument("<key>", "such as service/dns")
		.action(async (key, options) => (await import("./database.js")).get(key, options));
	onDatabase(db.command("put").summary("write a record"))
		.description("Writes a record, as a new version, if it is valid together with all others.")
		.argument("<key>", "such as backend/b4")
		.argument("<value>", 'its fields as YAML, such as "{ address: 10.77.3.14 }"; -: standard input')
		.option("--note <text>", "what the history says of it")
		.action(async (key, value, options) => (await import("./database.js")).put(key, value, options));
	onDatabase(db.command("delete").summary("delete a record"))
		.description("Deletes a record, as a new version, if all others are valid without it.")
		.argument("<key>", "such as backend/b4")
		.option("--note <text>", "what the history says of it")
		.action(async (key, options) => (await import("./database.js")).remove(key, options));
	onDatabase(db.command("list").summary("list records"))
		.description("Lists records whose keys begin with a prefix; by default all but the history.")
		.argument("[prefix]", "such as service/ or member/")
		.action(async (prefix, options) => (await import("./database.js")).list(prefix, options));
	onDatabase(db.command("watch").summary("print changes as they happen"))
		.description("Prints each change of a record as it happens, one a line, until it is interrupted.")
		.argument("[prefix]", "such as service/ or member/")
		.action(async (prefix, options) => (await import("./database.js")).watch(prefix, options));
	onDatabase(db.command("import").summary("put a configuration into the database"))
		.description("As shunt apply, without a plan.")
		.argument("<file>", "configuration")
		.option("--note <text>", "what the history says of it")
		.action(async (file, options) => (await import("./database.js")).importFile(file, options));
	onDatabase(db.command("export").summary("print the database as a configuration"))
		.description("Prints the records as the YAML that import takes; cluster.seed and cluster.keys are to be added.")
		.action(async (options) => (await import("./database.js")).exportFile(options));
	onDatabase(db.command("history").summary("list the versions"))
		.description("Lists the versions: when each was made, by whom, and which records it changed.")
		.action(async (options) => (await import("./database.js")).history(options));
}
