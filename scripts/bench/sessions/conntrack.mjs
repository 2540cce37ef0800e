// conntrack.mjs - the kernel's nf_conntrack: what a new and a known UDP flow cost it, and how much memory an entry takes.
//
//   generator c0 ─── c1, an nft rule that needs conntrack, and a UDP socket that reads nothing
//
// The same packets go through the same namespaces without the rule: what they cost more with it is conntrack's. An entry is
// made for good only where its packet arrives somewhere, hence the socket. A namespace takes as many entries as this host's
// nf_conntrack_max says; more entries take more namespaces, for its table is one for all of them.
//
// Owns: its namespaces. Must never: raise that limit, which is the whole host's.

import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const NAMESPACES_MAX = 4;
const PAGE = Number(execFileSync("getconf", ["PAGESIZE"]));
const RULES = `table inet bench { chain in { type filter hook prerouting priority 0; ct state invalid counter; }; }`;
const LIMIT = "/proc/sys/net/netfilter/nf_conntrack_max";

const ip = (...args) => execFileSync("ip", args, { encoding: "utf8" });
const within = (namespace, ...args) => ip("netns", "exec", namespace, ...args);
const quietly = (...args) => {
	try {
		ip(...args);
	} catch {
		// it was not made
	}
};

export class Conntrack {
	#kit;
	#limit = 0;
	#buckets = 0;
	#missing;

	constructor(kit) {
		this.#kit = kit;
		const probe = `bench-${process.pid}-p`;
		try {
			ip("netns", "add", probe);
			within(probe, "nft", RULES);
			this.#limit = Number(readFileSync(LIMIT, "utf8"));
			this.#buckets = Number(readFileSync(LIMIT.replace("_max", "_buckets"), "utf8"));
		} catch (error) {
			this.#missing = `this kernel has no nf_conntrack for nftables: ${String(error.stderr ?? error.message).split("\n")[0]}`;
		} finally {
			quietly("netns", "del", probe);
		}
	}

	/** Why so many entries can't be measured here. */
	problem(sessions) {
		if (this.#missing !== undefined) return this.#missing;
		if (sessions <= this.#each() * NAMESPACES_MAX) return undefined;
		return `more than ${NAMESPACES_MAX} namespaces of nf_conntrack_max = ${this.#limit} hold`;
	}

	#each() {
		return Math.floor(this.#limit * 0.97);
	}

	measure(sessions, round) {
		const namespaces = Math.ceil(sessions / this.#each());
		const found = {};
		for (const tracked of this.#kit.turn([false, true], round))
			found[tracked] = this.#pass(sessions, namespaces, tracked);
		const { entries, listNs } = found.true;
		return {
			entries,
			insertNs: found.true.first - found.false.first,
			hitNs: found.true.second - found.false.second,
			packetNs: [found.false.first, found.false.second],
			// A slab's pages by its objects, and an entry's share of the hash table, which is as large as this host made it.
			bytes: slabBytesEach() + (8 * this.#buckets) / entries,
			objectBytes: objectSize(),
			buckets: this.#buckets,
			listNs: listNs / entries,
		};
	}

	#pass(sessions, namespaces, tracked) {
		const total = { first: 0, second: 0, entries: 0, listNs: 0 };
		const made = [];
		try {
			for (let i = 0; i < namespaces; i++) {
				const name = `bench-${process.pid}-c${i}`;
				const count = Math.floor((sessions * (i + 1)) / namespaces) - Math.floor((sessions * i) / namespaces);
				made.push(this.#up(name, tracked));
				const [first, second] = JSON.parse(
					within(
						`${name}g`,
						"taskset",
						"-c",
						"1",
						process.execPath,
						join(here, "inject.mjs"),
						String(count),
						String(i),
					),
				);
				total.first += (first * count) / sessions;
				total.second += (second * count) / sessions;
				if (!tracked) continue;
				total.entries += Number(within(name, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"));
				total.listNs += JSON.parse(
					execFileSync("ip", ["netns", "exec", name, join(this.#kit.work, "ask")], {
						input: "read /proc/net/nf_conntrack\n",
						encoding: "utf8",
					}),
				).ns;
			}
		} finally {
			for (let i = 0; i < namespaces; i++) this.#down(`bench-${process.pid}-c${i}`, made[i]);
			settle();
		}
		if (tracked && total.entries < 0.999 * sessions)
			throw new Error(`nf_conntrack has ${total.entries} of ${sessions} entries`);
		return total;
	}

	#up(name, tracked) {
		for (const one of [name, `${name}g`]) {
			ip("netns", "add", one);
			within(one, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");
		}
		const peer = ["peer", "name", "c1", "netns", name, "address", "02:bb:00:00:00:12"];
		ip("link", "add", "c0", "netns", `${name}g`, "address", "02:bb:00:00:00:11", "type", "veth", ...peer);
		within(`${name}g`, "ethtool", "-K", "c0", "tx", "off");
		ip("-n", `${name}g`, "link", "set", "c0", "up");
		within(name, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.c1.rp_filter=0");
		ip("-n", name, "address", "add", "198.18.0.1/32", "dev", "c1");
		ip("-n", name, "link", "set", "c1", "up");
		ip("-n", name, "route", "add", "default", "dev", "c1");
		if (tracked) within(name, "nft", RULES);
		const sink = spawn("ip", ["netns", "exec", name, join(this.#kit.work, "sockets"), "udp", "53"], {
			stdio: ["pipe", "ignore", "inherit"],
		});
		// The socket is there once the kernel lists it.
		for (let i = 0; i < 200 && !within(name, "cat", "/proc/net/udp").includes(":0035 "); i++) sleep(10);
		return sink;
	}

	#down(name, sink) {
		sink?.stdin.end();
		for (const one of [name, `${name}g`]) quietly("netns", "del", one);
	}
}

/**
 * The kernel clears a namespace's entries after it is gone; the next measurement must not share its time. The slab's own
 * count is rough, and others use it too: so what is waited for is that it no longer falls.
 */
function settle() {
	for (let last = Number.POSITIVE_INFINITY, still = 0, i = 0; still < 4 && i < 100; i++) {
		sleep(100);
		const now = activeObjects();
		still = now < last ? 0 : still + 1;
		last = now;
	}
}

function sleep(ms) {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function slabLine() {
	return (
		readFileSync("/proc/slabinfo", "utf8")
			.split("\n")
			.find((line) => line.startsWith("nf_conntrack ")) ?? ""
	);
}

const column = (i) => Number(slabLine().split(/\s+/)[i] ?? 0);
const activeObjects = () => column(1);
const objectSize = () => column(3);
const slabBytesEach = () => (column(5) * PAGE) / column(4);
