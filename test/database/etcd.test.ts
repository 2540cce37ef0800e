// The database in etcd: the contract of a store over a real server and a real cluster of three, TLS, users, compaction,
// and what a server may answer that is no record.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdStore } from "../../src/database/index.js";
import { storeContract } from "../contract/store.js";
import { accessTo, type EtcdServers, hasEtcd, startEtcd } from "./etcd-servers.js";

let prefixes = 0;
const prefix = () => `/test/${++prefixes}/`;

async function ask(endpoint: string, path: string, body: object): Promise<Record<string, unknown>> {
	const answer = await fetch(endpoint + path, { method: "POST", body: JSON.stringify(body) });
	return (await answer.json()) as Record<string, unknown>;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

for (const [name, nodes] of [
	["EtcdStore, one node", 1],
	["EtcdStore, three nodes", 3],
] as const)
	describe.skipIf(!hasEtcd)(name, () => {
		let servers: EtcdServers;
		beforeAll(async () => {
			servers = await startEtcd({ nodes });
		}, 90_000);
		afterAll(() => servers.stop());
		storeContract(name, async () => {
			let touched = 0;
			const store = new EtcdStore({ prefix: prefix(), ...accessTo(servers) });
			return {
				store,
				slower: 2,
				// A lease is at least as long as it says, and etcd ends it within a second.
				advance: (ms) => delay(ms),
				touch: async () => {
					await store.put("touched", { times: ++touched });
				},
				close: () => store.close(),
			};
		});

		test.skipIf(nodes === 1)(
			"R17: the store goes on with the others while a node is dead, or stopped",
			async () => {
				const store = new EtcdStore({ prefix: prefix(), ...accessTo(servers), timeoutMs: 2000 });
				const patiently = async <T>(work: () => Promise<T>): Promise<T> => {
					for (const end = performance.now() + 60_000; ; await delay(100)) {
						try {
							return await work();
						} catch (error) {
							if (performance.now() > end) throw error;
						}
					}
				};
				for (const node of servers.nodes) {
					await node.kill();
					await patiently(() => store.put("a", `${node.name} is dead`));
					expect((await patiently(() => store.get("a")))?.value).toBe(`${node.name} is dead`);
					node.start();
					node.process().kill("SIGSTOP");
					await patiently(() => store.put("a", `${node.name} is stopped`));
					node.process().kill("SIGCONT");
					// The next one may die when this one serves again.
					const own = new EtcdStore({ prefix: prefix(), ...accessTo(servers), endpoints: [node.endpoint] });
					await patiently(() => own.list(""));
					await own.close();
				}
				await store.close();
			},
			180_000,
		);
	});

describe.skipIf(!hasEtcd)("etcd", () => {
	let servers: EtcdServers;
	let endpoint: string;
	beforeAll(async () => {
		servers = await startEtcd();
		endpoint = servers.endpoints[0]!;
	}, 90_000);
	afterAll(() => servers.stop());

	test("a watch from a compacted revision is told so, and the list and a watch from there miss nothing", async () => {
		const store = new EtcdStore({ prefix: prefix(), ...accessTo(servers) });
		const first = await store.put("a", 1);
		const last = await store.put("a", 2);
		if (!first.done || !last.done) throw new Error("not written");
		await ask(endpoint, "/v3/kv/compaction", { revision: String(last.revision), physical: true });
		const watch = store.watch("", { from: first.revision })[Symbol.asyncIterator]();
		await expect(watch.next()).rejects.toMatchObject({ code: "SHUNT_STORE_COMPACTED" });
		const { entries, revision } = await store.list("");
		expect(entries).toMatchObject([{ key: "a", value: 2 }]);
		const later = store.watch("", { from: revision + 1 })[Symbol.asyncIterator]();
		await store.put("a", 3);
		expect((await later.next()).value).toMatchObject({ value: 3 });
		await store.close();
	});

	test("a list of many pages is of one revision; other prefixes are not seen", async () => {
		const at = prefix();
		const store = new EtcdStore({ prefix: at, ...accessTo(servers) });
		for (let i = 0; i < 11; i++)
			await store.commit(Array.from({ length: 100 }, (_, n) => ({ key: `r/${i}/${n}`, value: n })));
		await ask(endpoint, "/v3/kv/put", { key: base64(`${at.slice(0, -1)}0`), value: base64("1") });
		expect((await store.list("")).entries).toHaveLength(1100);
		await store.close();
	});

	test("a value that is not JSON is its text, and takes nothing else down", async () => {
		const at = prefix();
		const store = new EtcdStore({ prefix: at, ...accessTo(servers) });
		await store.put("good", { n: 1 });
		await ask(endpoint, "/v3/kv/put", { key: base64(`${at}bad`), value: Buffer.from([0xff, 0x7b]).toString("base64") });
		const { entries } = await store.list("");
		expect(entries.map(({ key }) => key)).toEqual(["bad", "good"]);
		expect(typeof entries[0]!.value).toBe("string");
		await store.close();
	});

	test("a server that is killed and started again ends watches with an error, and keeps all that was written", async () => {
		const store = new EtcdStore({ prefix: prefix(), ...accessTo(servers) });
		const { revision } = await store.list("");
		const watch = store.watch("", { from: revision + 1 })[Symbol.asyncIterator]();
		const next = watch.next().catch((error: unknown) => error);
		await store.put("a", 1);
		expect(await next).toMatchObject({ value: { key: "a" } });
		const broken = watch.next().catch((error: unknown) => error);
		await servers.nodes[0]!.kill();
		expect(await broken).toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
		await expect(store.get("a")).rejects.toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
		servers.nodes[0]!.start();
		for (const end = performance.now() + 60_000; ; await delay(50)) {
			const found = await store.get("a").catch(() => undefined);
			if (found?.value === 1) break;
			if (performance.now() > end) throw new Error("etcd does not come back");
		}
		await store.close();
	}, 90_000);

	test("a stopped server is unreachable within the deadline", async () => {
		const store = new EtcdStore({ prefix: prefix(), ...accessTo(servers), timeoutMs: 300 });
		servers.nodes[0]!.process().kill("SIGSTOP");
		try {
			await expect(store.get("a")).rejects.toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
		} finally {
			servers.nodes[0]!.process().kill("SIGCONT");
		}
		await store.close();
	});
});

describe.skipIf(!hasEtcd)("etcd with TLS", () => {
	test("client certificates: with one the store works, without it the server is not reached", async () => {
		const servers = await startEtcd({ tls: true });
		try {
			const store = new EtcdStore({ prefix: prefix(), ...accessTo(servers) });
			await store.put("a", 1);
			expect((await store.get("a"))?.value).toBe(1);
			await store.close();
			const { ca, ...anonymous } = { ...accessTo(servers), certificate: undefined, key: undefined };
			for (const access of [
				{ ...anonymous, ca },
				{ ...accessTo(servers), ca: undefined },
			]) {
				const refused = new EtcdStore({ prefix: prefix(), ...access });
				await expect(refused.get("a")).rejects.toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
				await refused.close();
			}
		} finally {
			await servers.stop();
		}
	}, 90_000);
});

describe.skipIf(!hasEtcd)("etcd with users", () => {
	test("user and password; a token that has ended is renewed; a wrong password and a foreign prefix are refused", async () => {
		const servers = await startEtcd();
		const [endpoint] = servers.endpoints as [string];
		try {
			for (const [path, body] of [
				["/v3/auth/user/add", { name: "root", password: "r" }],
				["/v3/auth/user/grant", { user: "root", role: "root" }],
				["/v3/auth/role/add", { name: "shunt" }],
				[
					"/v3/auth/role/grant",
					{ name: "shunt", perm: { permType: "READWRITE", key: base64("/shunt/"), range_end: base64("/shunt0") } },
				],
				["/v3/auth/user/add", { name: "member", password: "p" }],
				["/v3/auth/user/grant", { user: "member", role: "shunt" }],
			] as const)
				await ask(endpoint, path, body);
			await ask(endpoint, "/v3/auth/role/add", { name: "root" });
			await ask(endpoint, "/v3/auth/user/grant", { user: "root", role: "root" });
			await ask(endpoint, "/v3/auth/enable", {});
			const access = { ...accessTo(servers), user: "member", password: "p" };
			const store = new EtcdStore({ prefix: "/shunt/", ...access });
			await store.put("a", 1);
			// A new server knows none of the tokens of the one before.
			await servers.nodes[0]!.kill();
			servers.nodes[0]!.start();
			for (const end = performance.now() + 60_000; ; await delay(50)) {
				const found = await store.get("a").catch((error: unknown) => error);
				if ((found as { value?: unknown }).value === 1) break;
				if (performance.now() > end) throw found;
			}
			await store.close();
			for (const other of [
				{ ...access, prefix: "/shunt/", password: "wrong" },
				{ ...access, prefix: "/other/" },
			]) {
				const refused = new EtcdStore(other);
				await expect(refused.get("a")).rejects.toMatchObject({ code: "SHUNT_STORE_REFUSED" });
				await refused.close();
			}
		} finally {
			await servers.stop();
		}
	}, 90_000);
});

test("hostile answers are errors, not records: other types, no JSON, no end", async () => {
	let answer = "";
	let status = 200;
	const server = createServer((_request, response) => {
		response.writeHead(status);
		response.end(answer);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	const store = new EtcdStore({ prefix: "/shunt/", endpoints: [`http://127.0.0.1:${port}`], timeoutMs: 2000 });
	for (const [code, text] of [
		[200, "[]"],
		[200, '{"kvs":[{"key":7}]}'],
		[200, '{"kvs":{"__proto__":1}}'],
		[200, "<html>"],
		[500, ""],
		[500, '{"code":14,"message":"no leader"}'],
		[200, '{"header":{"revision":"99999999999999999999999"}}'],
	] as const) {
		[status, answer] = [code, text];
		await expect(store.get("a"), text).rejects.toMatchObject({ code: "SHUNT_STORE_UNREACHABLE" });
	}
	// Keys outside the prefix are none of ours.
	[status, answer] = [200, JSON.stringify({ header: {}, kvs: [{ key: base64("/other/a"), value: base64("1") }] })];
	expect(await store.list("")).toEqual({ entries: [], revision: 0 });
	await store.close();
	server.closeAllConnections();
	await new Promise((resolve) => server.close(resolve));
});
