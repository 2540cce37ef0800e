// database-servers.ts - Debian's Redis and PostgreSQL on loopback, at the gateway's address and at the target's.
//
// Owns: one process of each, its folder and its end. Must never: touch a server or a database of the host's.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface DatabaseServer {
	stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root. */
const USER = "nobody";
const START_MS = 120_000;

/** One server at several addresses: it says at which one a connection has arrived. */
export function startRedis(port: number, addresses: readonly string[]): Promise<DatabaseServer> {
	const folder = mkdtempSync(join(tmpdir(), "shunt-redis-"));
	const at = ["--port", String(port), "--bind", ...addresses];
	const args = [...at, "--dir", folder, "--save", "", "--appendonly", "no"];
	return start(installed("redis-server", "/usr/bin"), args, folder, port, addresses);
}

export async function startPostgres(port: number, addresses: readonly string[]): Promise<DatabaseServer> {
	const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql") : [];
	const programs = join("/usr/lib/postgresql", versions.sort((a, b) => Number(a) - Number(b)).at(-1) ?? "", "bin");
	const folder = mkdtempSync(join(tmpdir(), "shunt-postgres-"));
	const data = join(folder, "data");
	const root = process.getuid?.() === 0;
	if (root) execFileSync("chown", [USER, folder]);
	const [user, ...asUser] = root ? ["setpriv", `--reuid=${USER}`, "--clear-groups"] : [];
	const as = (program: string, args: string[]): [string, string[]] =>
		user === undefined ? [program, args] : [user, [...asUser, program, ...args]];
	const made = as(installed("initdb", programs), ["-D", data, "-U", "test", "-A", "trust", "--no-sync", "--no-locale"]);
	execFileSync(...made, { stdio: ["ignore", "ignore", "pipe"], cwd: folder });
	const settings = [`listen_addresses=${addresses.join(",")}`, "unix_socket_directories=", "fsync=off"];
	const args = ["-D", data, "-p", String(port), ...settings.flatMap((one) => ["-c", one])];
	return start(...as(installed("postgres", programs), args), folder, port, addresses);
}

function installed(name: string, folder: string): string {
	const file = join(folder, name);
	if (!existsSync(file)) throw new Error(`${file}: is not installed; run scripts/install --packages`);
	return file;
}

/** Until it accepts connections at all addresses. */
async function start(
	program: string,
	args: readonly string[],
	folder: string,
	port: number,
	addresses: readonly string[],
): Promise<DatabaseServer> {
	const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], cwd: folder });
	let log = "";
	for (const stream of [child.stdout, child.stderr])
		stream.on("data", (text) => {
			log = `${log}${text}`.slice(-4000);
		});
	const stop = async () => {
		if (child.exitCode === null && child.signalCode === null) {
			child.kill("SIGINT"); // of PostgreSQL: at once, without waiting for clients
			await once(child, "exit");
		}
		rmSync(folder, { recursive: true, force: true });
	};
	try {
		for (const address of addresses) await accepts(child, address, port);
	} catch (error) {
		await stop();
		throw new Error(`${program}: ${String(error)}\n${log}`);
	}
	return { stop };
}

async function accepts(child: ChildProcess, host: string, port: number): Promise<void> {
	const end = Date.now() + START_MS;
	while (Date.now() < end) {
		if (child.exitCode !== null) throw new Error(`it has ended with status ${child.exitCode}`);
		const socket = connect({ host, port });
		const open = await once(socket, "connect").then(
			() => true,
			() => false,
		);
		socket.destroy();
		if (open) return;
		await delay(20);
	}
	throw new Error(`no connection at ${host} port ${port} in ${START_MS / 1000} s`);
}
