// errors.ts - the one table of coded errors: what went wrong, with which exit status, and what to do about it.
//
// Owns: every error that a person at the command line can meet. docs/errors.md is generated from this table.
// Must never: import anything, or hold an error for a hostile packet (those are reasons, not exceptions).

/** Exit statuses, the same for every command. */
export const EXIT = {
	failed: 1, // it ran, and something went wrong
	input: 2, // what was asked for or configured is wrong; nothing was touched
	host: 3, // this host lacks something: a privilege, an interface, a kernel feature
	daemon: 4, // the daemon is not there, or there already
} as const;

interface ErrorEntry {
	/** One sentence; {name} stands for the field of that name. */
	readonly message: string;
	readonly exit: (typeof EXIT)[keyof typeof EXIT];
	/** What to do about it. */
	readonly hint: string;
}

// biome-ignore format: one line per code, alphabetical
export const ERRORS = {
	SHUNT_ADDON_MISSING: { message: "The native addon cannot be loaded: {why}.", exit: EXIT.host, hint: "Run npm ci (or npm rebuild) with a C++20 compiler, cmake and libpcap's headers installed." },
	SHUNT_ADDRESS_INVALID: { message: "{text} is no Internet address.", exit: EXIT.input, hint: "Write an IPv4 address in dotted form or an IPv6 address." },
	SHUNT_CAPTURE_INVALID: { message: "{file} cannot be read as a capture: {why}.", exit: EXIT.input, hint: "shunt dump reads pcap and pcapng files of Ethernet, raw IP or Linux cooked packets." },
	SHUNT_COMMAND_FAILED: { message: "{command} failed: {why}.", exit: EXIT.host, hint: "Run it by hand to see why; the daemon needs iproute2, nftables and ethtool." },
	SHUNT_CONFIG_INVALID: { message: "{problems}", exit: EXIT.input, hint: "docs/configuration.md describes every field; schema/shunt.schema.json lets an editor check while you type." },
	SHUNT_CONFIG_REFERENCE: { message: "{problems}", exit: EXIT.input, hint: "Each field is well formed, but it contradicts another one, or names what is not there." },
	SHUNT_CONFIG_SYNTAX: { message: "{problems}", exit: EXIT.input, hint: "The file is not valid YAML; check the indentation at the place named." },
	SHUNT_CONFIG_UNREADABLE: { message: "{file} cannot be read: {why}.", exit: EXIT.input, hint: "Name the configuration with --config, and see that this user may read it." },
	SHUNT_DAEMON_RUNNING: { message: "A {role} named {name} is running already, process {pid}.", exit: EXIT.daemon, hint: "Stop that one first, or ask it with shunt status." },
	SHUNT_DAEMON_UNREACHABLE: { message: "No daemon answers at {socket}: {why}.", exit: EXIT.daemon, hint: "Start it with shunt gateway or shunt backend; see the daemon's log if it was running." },
	SHUNT_ENGINE_FAILED: { message: "The engine failed at {step}: {why}.", exit: EXIT.failed, hint: "shunt status says how far it came; run as root on Linux with the interface up." },
	SHUNT_FILE_UNWRITABLE: { message: "{file} cannot be written: {why}.", exit: EXIT.input, hint: "See that its folder exists and that this user may write there." },
	SHUNT_FIREWALL_FAILED: { message: "The nftables rules cannot be installed: {why}.", exit: EXIT.host, hint: "It needs nft 1.0 and Linux 5.12 (tables with an owner)." },
	SHUNT_IDS_EXHAUSTED: { message: "More than {limit} {what} are in use at once.", exit: EXIT.input, hint: "Identifiers have 16 bits; split the configuration over several clusters." },
	SHUNT_INTERFACE_MISSING: { message: "There is no interface named {interface} on this host.", exit: EXIT.host, hint: "ip link shows the interfaces; correct the name in the configuration." },
	SHUNT_INTERNAL: { message: "Shunt met something that it does not expect: {why}.", exit: EXIT.failed, hint: "SHUNT_DEBUG=1 shows where; please report it with that." },
	SHUNT_NEXT_HOP_UNRESOLVED: { message: "No next hop is known towards {address}: {why}.", exit: EXIT.host, hint: "Check the route and the neighbour with ip route get and ip neigh." },
	SHUNT_NOT_ROOT: { message: "{command} needs root (CAP_NET_ADMIN, CAP_NET_RAW).", exit: EXIT.host, hint: "Run it with sudo." },
	SHUNT_PINS_FAILED: { message: "There is no BPF file system, and none can be mounted at {folder}: {why}.", exit: EXIT.host, hint: "Mount one (mount -t bpf bpf /sys/fs/bpf), or configure engine.mode: user." },
	SHUNT_REDIRECTIONS_EXHAUSTED: { message: "The configuration needs {count} different redirections, more than {limit}.", exit: EXIT.input, hint: "Let rules share their lists of backends and their terms: equal ones are stored once." },
	SHUNT_SOCKET_FAILED: { message: "The control socket {socket} cannot be opened: {why}.", exit: EXIT.host, hint: "See that the folder exists and that this user may write there, or name another with --socket." },
	SHUNT_STORE_CLOSED: { message: "The redirection database is closed.", exit: EXIT.failed, hint: "The daemon is stopping; ask again when it is back." },
	SHUNT_STORE_COMPACTED: { message: "Changes since revision {revision} are no longer kept; the oldest kept is {oldest}.", exit: EXIT.failed, hint: "List anew and watch from the revision of that list." },
	SHUNT_STORE_LEASE_GONE: { message: "The lease {lease} has ended or never was.", exit: EXIT.failed, hint: "Grant a new lease and put its records again." },
	SHUNT_STORE_READ_ONLY: { message: "The redirection database is read from {file} and takes no writes.", exit: EXIT.input, hint: "Change the configuration and reload, or configure an embedded or a shared database." },
	SHUNT_TUN_FAILED: { message: "The tun device {name} cannot be made: {why}.", exit: EXIT.host, hint: "It needs /dev/net/tun; modprobe tun, and see that no other daemon has a device of this name." },
	SHUNT_UNKNOWN_SERVER: { message: "The configuration {file} has no {role} named {name}; it has {known}.", exit: EXIT.input, hint: "Name this host as it is named in the configuration." },
	SHUNT_USAGE: { message: "{what}", exit: EXIT.input, hint: "shunt --help lists the commands." },
	SHUNT_XDP_NO_TRANSMIT: { message: "The driver of {interface} takes no frames from XDP programs now.", exit: EXIT.host, hint: "Of a veth pair, the other end needs an XDP program, if only one that lets everything pass; or configure engine.mode: generic." },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
export type ErrorFields = Readonly<Record<string, string | number>>;

export class ShuntError extends Error {
	readonly code: ErrorCode;
	readonly fields: ErrorFields;

	constructor(code: ErrorCode, fields: ErrorFields = {}, options?: { cause?: unknown }) {
		super(fill(ERRORS[code].message, fields), options);
		this.name = "ShuntError";
		this.code = code;
		this.fields = fields;
	}

	get exitStatus(): number {
		return ERRORS[this.code].exit;
	}

	get hint(): string {
		return ERRORS[this.code].hint;
	}

	toJSON(): object {
		return {
			code: this.code,
			message: this.message,
			hint: this.hint,
			exitStatus: this.exitStatus,
			fields: this.fields,
		};
	}
}

function fill(template: string, fields: ErrorFields): string {
	// A field that was forgotten stays visible as {name}: better an odd sentence than an exception on the way to one.
	return template.replace(/\{(\w+)\}/g, (whole, name: string) => String(fields[name] ?? whole));
}

/** The text of docs/errors.md. */
export function errorsDocument(): string {
	const statuses = Object.entries(EXIT).map(([name, status]) => `| ${status} | ${name} |`);
	const rows = Object.entries(ERRORS).map(
		([code, entry]) => `| \`${code}\` | ${entry.exit} | ${entry.message} | ${entry.hint} |`,
	);
	return [
		"# Errors",
		"",
		"Generated from `src/errors.ts`; a test keeps it fresh (`npx vitest run test/config -u` rewrites it).",
		"",
		"| exit status | meaning |",
		"|---|---|",
		"| 0 | done |",
		...statuses,
		"",
		"| code | exit | message | what to do |",
		"|---|---|---|---|",
		...rows,
		"",
	].join("\n");
}
