// errors.ts - the table of coded errors: each one's message, exit status and remedy.
//
// Owns: every error that a user of the command line can see. docs/errors.md is generated from this table.
// Must never: import anything, or hold an error for an invalid packet (those are reasons, not exceptions).

/** Exit statuses, the same for every command. */
export const EXIT = {
	failed: 1,
	input: 2,
	host: 3,
	daemon: 4,
} as const;

const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
	failed: "the command ran and failed",
	input: "the command line or the configuration is invalid; nothing was changed",
	host: "the host lacks a privilege, an interface or a kernel feature",
	daemon: "the daemon is not running, or is running already",
};

interface ErrorEntry {
	/** One sentence: object, value, rule. {name} is replaced by the field of that name. */
	readonly message: string;
	readonly exit: (typeof EXIT)[keyof typeof EXIT];
	/** The remedy. */
	readonly hint: string;
}

/** Alphabetical by code. */
export const ERRORS = {
	SHUNT_ADDON_MISSING: {
		message: "The native addon cannot be loaded: {why}.",
		exit: EXIT.host,
		hint: "Run npm ci (or npm rebuild) with a C++20 compiler, cmake and the headers of libpcap installed.",
	},
	SHUNT_ADDRESS_ELSEWHERE: {
		message: "This host has none of the addresses of the backend {name} ({addresses}).",
		exit: EXIT.host,
		hint: "ip address lists this host's; correct the backend's address or --name, or wait for the interface at boot.",
	},
	SHUNT_ADDRESS_INVALID: {
		message: "{text} is not an IPv4 or IPv6 address.",
		exit: EXIT.input,
		hint: "Write an IPv4 address in dotted decimal or an IPv6 address; host names are not resolved.",
	},
	SHUNT_CAPTURE_INVALID: {
		message: "{file} cannot be read as a capture: {why}.",
		exit: EXIT.input,
		hint: "shunt dump reads pcap and pcapng files of Ethernet, raw IP or Linux cooked packets.",
	},
	SHUNT_COMMAND_FAILED: {
		message: "The command {command} failed: {why}.",
		exit: EXIT.host,
		hint: "Run the command by hand to see its output; the daemon needs iproute2, nftables and ethtool.",
	},
	SHUNT_CONFIG_INVALID: {
		message: "{problems}",
		exit: EXIT.input,
		hint: "docs/configuration.md describes every field; schema/shunt.schema.json lets an editor check them.",
	},
	SHUNT_CONFIG_REFERENCE: {
		message: "{problems}",
		exit: EXIT.input,
		hint: "Each field is valid by itself, but contradicts another field or names something that is not configured.",
	},
	SHUNT_CONFIG_SYNTAX: {
		message: "{problems}",
		exit: EXIT.input,
		hint: "The file must be valid YAML; check the indentation at the place named.",
	},
	SHUNT_CONFIG_UNREADABLE: {
		message: "The configuration {file} cannot be read: {why}.",
		exit: EXIT.input,
		hint: "Name the configuration with --config, and check that this user may read it.",
	},
	SHUNT_DAEMON_RUNNING: {
		message: "The {role} {name} is already running as process {pid}.",
		exit: EXIT.daemon,
		hint: "One daemon of a name runs in a network namespace: stop it with shunt stop, or query it with shunt status.",
	},
	SHUNT_DAEMON_STARTING: {
		message: "The daemon is starting and takes no packets yet.",
		exit: EXIT.daemon,
		hint: "shunt status --wait waits until it is ready.",
	},
	SHUNT_DAEMON_UNREACHABLE: {
		message: "No daemon answers at {socket}: {why}.",
		exit: EXIT.daemon,
		hint: "Start it with shunt gateway or shunt backend; if it was running, see its log.",
	},
	SHUNT_DATABASE_CONFLICT: {
		message: "The change is of version {planned}, but {now}; nothing was changed.",
		exit: EXIT.failed,
		hint: "Look at what has changed (shunt db history, shunt plan), and apply again.",
	},
	SHUNT_DATABASE_EMPTY: {
		message: "The redirection database ({database}) holds no configuration.",
		exit: EXIT.failed,
		hint: "Put one there: shunt apply FILE, with a file that has backends, services and this database.",
	},
	SHUNT_DATABASE_FILE: {
		message: "{file}, which the redirection database needs, cannot be used: {why}.",
		exit: EXIT.input,
		hint: "The section database of the configuration names it; docs/database.md has an example.",
	},
	SHUNT_DATABASE_LATE: {
		message: "Version {version} is in the database, and not in force after {seconds} s at {members}.",
		exit: EXIT.failed,
		hint: "shunt status at these members says why; shunt rollback goes back to the version before.",
	},
	SHUNT_DATABASE_RECORD: {
		message: "{key}: {why}",
		exit: EXIT.input,
		hint: "A record has the fields of its entry in the file; docs/configuration.md describes them.",
	},
	SHUNT_DATABASE_STATIC: {
		message: "{file} has no shared database: database.kind is static.",
		exit: EXIT.input,
		hint: "Write database: with kind: embedded or etcd into the file, or name a database with --database.",
	},
	SHUNT_DATABASE_VERSION: {
		message: "Version {version} is not in the database's history; must be from {oldest} to below {newest}.",
		exit: EXIT.input,
		hint: "shunt db history lists the versions.",
	},
	SHUNT_ENGINE_FAILED: {
		message: "The packet engine failed at {step}: {why}.",
		exit: EXIT.failed,
		hint: "Run as root on Linux with the interface up; shunt status shows the state of a running engine.",
	},
	SHUNT_FILE_UNWRITABLE: {
		message: "{file} cannot be written: {why}.",
		exit: EXIT.input,
		hint: "Check that its directory exists and that this user may write there.",
	},
	SHUNT_FIREWALL_FAILED: {
		message: "The nftables rules that keep the kernel from answering for the services cannot be installed: {why}.",
		exit: EXIT.host,
		hint: "They need nft 1.0 and Linux 5.12 (tables with an owner).",
	},
	SHUNT_GATEWAY_IS_BACKEND: {
		message: "{address} of backend {backend} is an address of this host; a gateway cannot forward to itself.",
		exit: EXIT.host,
		hint: "Run gateways and backends on different hosts, or in network namespaces of their own; or remove this backend.",
	},
	SHUNT_IDS_EXHAUSTED: {
		message: "{count} {what} are in use at once; must be at most {limit}; {remedy}.",
		exit: EXIT.input,
		hint: "Identifiers have 16 bits; shunt check shows how many targets each service has.",
	},
	SHUNT_INTERFACE_MISSING: {
		message: "This host has no interface {interface}.",
		exit: EXIT.host,
		hint: "ip link lists the interfaces; correct the name on the command line or in the configuration.",
	},
	SHUNT_INTERNAL: {
		message: "Internal error: {why}.",
		exit: EXIT.failed,
		hint: "This is a defect of Shunt; SHUNT_DEBUG=1 prints the stack trace, please report it.",
	},
	SHUNT_KERNEL_TOO_OLD: {
		message: "{what} does not work on this kernel: {why}.",
		exit: EXIT.host,
		hint: "Boot a newer kernel (docs/engines.md); a gateway or a backend runs in user space with engine.mode: user, or auto.",
	},
	SHUNT_LAST_BACKEND: {
		message: "{what} leaves no active backend for {services}.",
		exit: EXIT.failed,
		hint: "New sessions there would be dropped (no_target); with --force they are.",
	},
	SHUNT_NEXT_HOP_UNRESOLVED: {
		message: "The next hop to {address} cannot be resolved: {why}.",
		exit: EXIT.host,
		hint: "Check the route with ip route get, and the neighbour with ip neigh.",
	},
	SHUNT_NOT_READY: {
		message: "The daemon at {socket} is not ready after {seconds} s: {why}.",
		exit: EXIT.failed,
		hint: "Routing must not lead packets to it yet; see its log, or give it longer with --timeout.",
	},
	SHUNT_NOT_ROOT: {
		message: "{command} needs root (CAP_NET_ADMIN, CAP_NET_RAW).",
		exit: EXIT.host,
		hint: "Run it with sudo.",
	},
	SHUNT_OVERRIDE_UNKNOWN: {
		message: "There is no {kind} {name}{where}; must be one of {known}.",
		exit: EXIT.input,
		hint: "The names are those of the configuration: shunt status --all lists them.",
	},
	SHUNT_PINS_NOT_KEPT: {
		message:
			"--keep: the kernel engine of the {role} {name} would end with the daemon; its BPF file system is mounted in the daemon's own mount namespace alone.",
		exit: EXIT.host,
		hint: "Before the next start run mount -t bpf -o mode=0700 bpf /run/shunt/bpf on the host (nsenter -t 1 -m); end this one without --keep.",
	},
	SHUNT_PINS_UNSAFE: {
		message: "{folder} cannot hold the kernel engine's maps: {why}; it must be root's alone; {remedy}.",
		exit: EXIT.host,
		hint: "Another user could replace what the daemon continues with; a BPF file system is mounted with -o mode=0700.",
	},
	SHUNT_REDIRECTIONS_EXHAUSTED: {
		message: "The configuration needs {count} different redirections; the limit is {limit}.",
		exit: EXIT.input,
		hint: "Give rules the same lists of backends and the same terms: equal redirections are stored once.",
	},
	SHUNT_SOCKET_FAILED: {
		message: "The control socket {socket} cannot be opened: {why}.",
		exit: EXIT.host,
		hint: "Check that its directory exists and that this user may write there, or choose another with --socket.",
	},
	SHUNT_STATE_UNWRITABLE: {
		message: "{file} cannot be written: {why}; nothing that needs it was changed.",
		exit: EXIT.host,
		hint: "The daemon records there what it changes, so that the next one can undo or continue it: make room (df /run, df -i /run).",
	},
	SHUNT_STORE_CLOSED: {
		message: "The redirection database is closed.",
		exit: EXIT.failed,
		hint: "The daemon is stopping; retry when it has restarted.",
	},
	SHUNT_STORE_COMPACTED: {
		message: "Changes since revision {revision} have been compacted; the oldest revision is {oldest}.",
		exit: EXIT.failed,
		hint: "List the records again, and watch from the revision of that list.",
	},
	SHUNT_STORE_DAMAGED: {
		message: "The journal {file} of the embedded database is damaged at byte {at}.",
		exit: EXIT.failed,
		hint: "Restore the folder from a copy, or move it away and import an exported configuration (shunt db import).",
	},
	SHUNT_STORE_LEASE_GONE: {
		message: "The lease {lease} does not exist or has expired.",
		exit: EXIT.failed,
		hint: "Grant a new lease, and put its records again.",
	},
	SHUNT_STORE_LOCKED: {
		message: "The embedded database cannot be locked by {file}: {why}.",
		exit: EXIT.failed,
		hint: "A stopped process may hold the lock: fuser names it; retry when it has ended.",
	},
	SHUNT_STORE_READ_ONLY: {
		message: "The redirection database is read from {file} and is read-only.",
		exit: EXIT.input,
		hint: "Change the configuration and reload, or configure an embedded or a shared database.",
	},
	SHUNT_STORE_REFUSED: {
		message: "The redirection database {database} refuses the request: {why}.",
		exit: EXIT.failed,
		hint: "Check user, password, certificate and permissions for its prefix; docs/database.md has a set-up.",
	},
	SHUNT_STORE_UNREACHABLE: {
		message: "The redirection database {database} does not answer: {why}.",
		exit: EXIT.failed,
		hint: "Check the endpoints, the network and the server's log; running members go on with their copy meanwhile.",
	},
	SHUNT_STORE_UNREADABLE: {
		message: "The embedded database {file} cannot be read: {why}.",
		exit: EXIT.failed,
		hint: "Check that the folder exists and that this user may read and write it.",
	},
	SHUNT_TUN_FAILED: {
		message: "The tun device {name} cannot be created: {why}.",
		exit: EXIT.host,
		hint: "It needs /dev/net/tun: run modprobe tun, and check that no other daemon has a device of this name.",
	},
	SHUNT_UNKNOWN_SERVER: {
		message: "The configuration {file} has no {role} {name}; must be one of {known}.",
		exit: EXIT.input,
		hint: "Name this host with --name as the configuration does.",
	},
	SHUNT_USAGE: { message: "{what}", exit: EXIT.input, hint: "shunt --help lists the commands." },
	SHUNT_XDP_NO_TRANSMIT: {
		message: "{interface} does not accept redirected XDP frames (ndo_xdp_xmit).",
		exit: EXIT.host,
		hint: "The peer of a veth interface needs an XDP program, if only one that returns XDP_PASS; or set engine.mode: generic.",
	},
	SHUNT_XDP_QUEUES: {
		message: "{why}.",
		exit: EXIT.host,
		hint: "Leave a queue pair of the NIC for each processor, or set engine.mode: generic, or auto.",
	},
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
	// A missing field stays visible as {name}: an incomplete message is better than a second error.
	return template.replace(/\{(\w+)\}/g, (whole, name: string) => String(fields[name] ?? whole));
}

/** Of whatever was thrown. */
export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** The text of docs/errors.md. */
export function errorsDocument(): string {
	const statuses = Object.entries(EXIT).map(
		([name, status]) => `| ${status} | ${EXIT_MEANINGS[name as keyof typeof EXIT]} |`,
	);
	const rows = Object.entries(ERRORS).map(
		([code, entry]) => `| \`${code}\` | ${entry.exit} | ${entry.message} | ${entry.hint} |`,
	);
	return [
		"# Errors",
		"",
		"Generated from `src/errors.ts`; a test compares it (`npx vitest run test/config -u` rewrites it).",
		"",
		"| exit status | meaning |",
		"|---|---|",
		"| 0 | success |",
		...statuses,
		"",
		"| code | exit | message | remedy |",
		"|---|---|---|---|",
		...rows,
		"",
	].join("\n");
}
