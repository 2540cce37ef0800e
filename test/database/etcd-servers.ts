// etcd-servers.ts - real etcd servers for tests: one or several, with TLS and with users, on ports of this host.
//
// Owns: their processes and folders. Must never: use the ports of an etcd of the host's own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { EtcdStore } from "../../src/database/index.js";

export const hasEtcd = (() => {
	try {
		execFileSync("etcd", ["--version"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
})();

export interface EtcdNode {
	readonly name: string;
	readonly endpoint: string;
	readonly process: () => ChildProcess;
	start(): void;
	/** Resolves when the process has ended. */
	kill(): Promise<void>;
}

export interface Certificates {
	readonly caFile: string;
	readonly certificateFile: string;
	readonly keyFile: string;
}

export interface EtcdServers {
	readonly folder: string;
	readonly nodes: readonly EtcdNode[];
	readonly endpoints: readonly string[];
	readonly certificates: Certificates | undefined;
	stop(): Promise<void>;
}

async function freePorts(count: number): Promise<number[]> {
	const servers = Array.from({ length: count }, () => createServer());
	const ports = await Promise.all(
		servers.map(
			(server) =>
				new Promise<number>((resolve) => {
					server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
				}),
		),
	);
	await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
	return ports;
}

/** A key of one certificate authority, for server and client. */
export function makeCertificates(folder: string, address = "127.0.0.1"): Certificates {
	const at = (name: string) => join(folder, name);
	const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
	const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
	openssl("req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority");
	openssl("req", ...ec, "-keyout", "node.key", "-out", "node.csr", "-subj", "/CN=node");
	writeFileSync(at("node.ext"), `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth,clientAuth\n`);
	const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
	openssl("x509", "-req", "-in", "node.csr", ...by, "-out", "node.pem", "-days", "2", "-extfile", "node.ext");
	return { caFile: at("ca.pem"), certificateFile: at("node.pem"), keyFile: at("node.key") };
}

export async function startEtcd({ nodes: count = 1, tls = false } = {}): Promise<EtcdServers> {
	const folder = mkdtempSync(join(tmpdir(), "shunt-etcd-"));
	const certificates = tls ? makeCertificates(folder) : undefined;
	const ports = await freePorts(2 * count);
	const scheme = tls ? "https" : "http";
	const peers = Array.from({ length: count }, (_, i) => `n${i}=http://127.0.0.1:${ports[count + i]}`).join(",");
	const nodes = Array.from({ length: count }, (_, i): EtcdNode => {
		let child: ChildProcess | undefined;
		let ended: Promise<unknown> = Promise.resolve();
		const endpoint = `${scheme}://127.0.0.1:${ports[i]}`;
		const peer = `http://127.0.0.1:${ports[count + i]}`;
		const secure =
			certificates === undefined
				? []
				: [
						"--cert-file",
						certificates.certificateFile,
						"--key-file",
						certificates.keyFile,
						"--client-cert-auth",
						"--trusted-ca-file",
						certificates.caFile,
					];
		return {
			name: `n${i}`,
			endpoint,
			process: () => child as ChildProcess,
			start: () => {
				child = spawn(
					"etcd",
					[
						"--name",
						`n${i}`,
						"--data-dir",
						join(folder, `n${i}`),
						"--log-level",
						"error",
						"--listen-client-urls",
						endpoint,
						"--advertise-client-urls",
						endpoint,
						"--listen-peer-urls",
						peer,
						"--initial-advertise-peer-urls",
						peer,
						"--initial-cluster",
						peers,
						"--unsafe-no-fsync",
						...secure,
					],
					{ stdio: "ignore" },
				);
				const one = child;
				ended = new Promise((resolve) => one.once("close", resolve));
			},
			kill: async () => {
				child?.kill("SIGKILL");
				await ended;
			},
		};
	});
	for (const node of nodes) node.start();
	const servers = {
		folder,
		nodes,
		endpoints: nodes.map(({ endpoint }) => endpoint),
		certificates,
		stop: async () => {
			for (const node of nodes) await node.kill();
			rmSync(folder, { recursive: true, force: true });
		},
	};
	const store = new EtcdStore({ prefix: "/ready/", ...accessTo(servers) });
	for (const end = performance.now() + 60_000; ; await delay(50)) {
		try {
			await store.put("ready", 1);
			break;
		} catch (error) {
			if (performance.now() > end) throw error;
		}
	}
	await store.close();
	return servers;
}

export function accessTo({ endpoints, certificates }: Pick<EtcdServers, "endpoints" | "certificates">) {
	if (certificates === undefined) return { endpoints };
	return {
		endpoints,
		ca: readFileSync(certificates.caFile, "utf8"),
		certificate: readFileSync(certificates.certificateFile, "utf8"),
		key: readFileSync(certificates.keyFile, "utf8"),
	};
}
