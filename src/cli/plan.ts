// plan.ts - `shunt plan`, `apply` and `rollback`: show what a file would change in the redirection database, change it, and
// go back.
//
// Owns: the text of the answers. Must never: apply what differs from the version that was planned.

import { setTimeout as delay } from "node:timers/promises";
import {
	assemble,
	type Config,
	type FileFields,
	problemText,
	readFields,
	type SharedRecords,
	sharedRecords,
} from "../config/index.js";
import {
	applyRecords,
	type PlannedService,
	plannedServices,
	readMembers,
	readShared,
	rollback as rollBack,
	type Store,
} from "../database/index.js";
import { ShuntError } from "../errors.js";
import { printAnswer } from "./answer.js";
import { printChanged } from "./database.js";
import { paintFor } from "./paint.js";
import { table } from "./table.js";
import { percent } from "./units.js";
import { operator, type WhichDatabase, withStore } from "./which-database.js";

interface Options extends WhichDatabase {
	readonly json?: boolean;
	readonly planned?: number;
	readonly note?: string;
	readonly wait?: boolean;
	/** Milliseconds. */
	readonly timeout?: number;
}

const WAIT_MS = 30_000;
const POLL_MS = 200;

interface Plan {
	/** The version that the plan is made on. */
	readonly version: number;
	readonly database: string;
	readonly records: readonly {
		readonly key: string;
		readonly change: "added" | "removed" | "changed";
		readonly fields: string[];
	}[];
	readonly services: readonly PlannedService[];
	readonly warnings: readonly string[];
}

export async function plan(file: string, options: Options): Promise<void> {
	const local = readFields(file);
	const work = async (store: Store, database: string) => {
		const made = await planOf(store, database, local);
		printAnswer(options, made, () => planLines(made, file).join("\n"));
	};
	await withStore(options, work, local);
}

export async function apply(file: string, options: Options): Promise<void> {
	const local = readFields(file);
	const work = async (store: Store, database: string) => {
		const { warnings } = await planOf(store, database, local);
		const made = { planned: options.planned, by: operator(), note: options.note ?? `apply ${file}` };
		const changed = await applyRecords(store, sharedRecords(local.fields), made);
		if (!options.json) for (const warning of warnings) process.stderr.write(`${warning}\n`);
		await served(store, changed.version, options);
		printChanged(options, changed);
	};
	await withStore(options, work, local);
}

export async function rollback(version: number | undefined, options: Options): Promise<void> {
	await withStore(options, async (store) => {
		const changed = await rollBack(store, version, operator());
		await served(store, changed.version, options);
		printChanged(options, changed);
	});
}

/** With --wait: until every registered member has the version in force. Throws SHUNT_DATABASE_LATE. */
async function served(store: Store, version: number, { wait, timeout = WAIT_MS }: Options): Promise<void> {
	if (!wait) return;
	for (const end = performance.now() + timeout; ; await delay(POLL_MS)) {
		const late = (await readMembers(store)).filter((member) => member.version < version);
		if (late.length === 0) return;
		if (performance.now() <= end) continue;
		const names = late.map(({ name, refused }) => (refused === null ? name : `${name} (refused: ${refused})`));
		const seconds = Math.round(timeout / 1000);
		throw new ShuntError("SHUNT_DATABASE_LATE", { version, seconds, members: names.join(", ") });
	}
}

async function planOf(store: Store, database: string, local: FileFields & { readonly config: Config }): Promise<Plan> {
	const { records, version } = await readShared(store);
	const wanted = sharedRecords(local.fields);
	// Seeds place flows: both sides have the file's.
	const before = assemble({ ...local, database: { kind: "static" } }, withDefaults(records));
	const services = plannedServices(before.config, local.config);
	const left = services
		.filter(({ left, change }) => left && change !== "removed")
		.map(({ key }) => `${key} has no active backend: its new flows are refused`);
	return {
		version: version.version,
		database,
		records: changesOf(records, wanted),
		services,
		warnings: [
			...local.config.warnings.map(problemText),
			...before.invalid.map(({ key, problem }) => `${key} of the database is invalid now: ${problem}`),
			...left,
			...services.flatMap(resized),
		],
	};
}

/** The size of a table follows from the backends and weights that are configured, active or not. */
function resized({ key, change, rows }: PlannedService): string[] {
	if (change !== "changed" || rows.before === 0 || rows.after === 0 || rows.before === rows.after) return [];
	return [
		`the forwarding table of ${key} goes from ${rows.before} to ${rows.after} rows, so most of its new flows choose anew; ` +
			"a backend that is to leave keeps the size if it is made inactive instead of removed",
	];
}

/** A database that is empty has no section. */
function withDefaults(records: SharedRecords): SharedRecords {
	return records.size === 0 ? new Map([["settings", {}]]) : records;
}

function changesOf(before: SharedRecords, after: SharedRecords): Plan["records"] {
	return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((key) => {
		const [was, is] = [before.get(key), after.get(key)];
		if (JSON.stringify(was) === JSON.stringify(is)) return [];
		const change = was === undefined ? "added" : is === undefined ? "removed" : "changed";
		return [{ key, change, fields: change === "changed" ? changedFields(was, is) : [] }];
	});
}

function changedFields(was: unknown, is: unknown): string[] {
	const [a, b] = [was, is].map((value) => (typeof value === "object" && value !== null ? value : {})) as [
		object,
		object,
	];
	const value = (of: object, name: string) => JSON.stringify((of as Record<string, unknown>)[name]);
	return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => value(a, name) !== value(b, name));
}

const SIGN = { added: "+", removed: "-", changed: "~" } as const;
const STYLE = { added: "green", removed: "red", changed: "yellow" } as const;

function planLines({ version, database, records, services, warnings }: Plan, file: string): string[] {
	const paint = paintFor(process.stdout);
	if (records.length === 0) return [`nothing would change: ${database} has version ${version}, which is ${file}`];
	const changes = records.map(({ key, change, fields }) =>
		paint(STYLE[change], `  ${SIGN[change]} ${key}${fields.length === 0 ? "" : `: ${fields.join(", ")}`}`),
	);
	const rows = services.map(({ key, change, moved, necessary, shares }) => [
		key,
		change === "changed" ? percent(moved) : change,
		change === "changed" ? percent(Math.max(0, moved - necessary)) : "",
		shares.map(({ backend, before, after }) => `${backend} ${percent(before)} → ${percent(after)}`).join(", "),
	]);
	const [head, ...body] = table(
		["left", "right", "right", "left"],
		[["new flows of", "moved", "disruption", "shares"], ...rows],
		"  ",
	);
	return [
		`${file} would change version ${version} of ${database}:`,
		...changes,
		"",
		...(rows.length === 0 ? ["  no new flow chooses another backend"] : [paint("dim", head ?? ""), ...body]),
		...warnings.map((warning) => paint("yellow", `  warning: ${warning}`)),
		"",
		`shunt apply ${file} --planned ${version}`,
	];
}
