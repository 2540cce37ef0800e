// world.ts - tables at random, and how they change from one set to the next.
//
// Owns: what a set of tables may be: more than any configuration compiles to, as far as the builder takes it.
// Must never: aim at packets; aim.ts does.

import {
	CHOICE,
	DENY,
	FULL_LOAD,
	ROLE,
	SPREAD,
	type TableDirect,
	type TableKey,
	type TableRedirection,
	type TableRule,
	type TableService,
	type TableSet,
	type TableStation,
	type TableTarget,
} from "../../../src/policy/index.js";
import type { Dice } from "./dice.js";

/** A run's maps in the kernel hold no more targets (native/kernel/kernel_file_engine.cc). */
const LAST_TARGET = 1023;
const PREFIX_LENGTHS = 16;
const MAPPED = Buffer.from("00000000000000000000ffff00000000", "hex");

const BOTH = ROLE.gateway | ROLE.backend;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface World {
	readonly seed: [bigint, bigint];
	epoch: number;
	roles: number;
	wallS: number;
	wallNs: number;
	windowS: number;
	tunnelPort: number;
	signKey: number;
	maxHops: number;
	controlPort: number;
	ownState: 0 | 1 | 2;
	limits: { source: number; burst: number; all: number };
	keys: TableKey[];
	own: Buffer[];
	/** That may use the tunnel; empty: all may. */
	members: Buffer[];
	stations: TableStation[];
	services: Mutable<TableService>[];
	direct: TableDirect[];
	rules: Mutable<TableRule>[];
	redirections: Mutable<TableRedirection>[];
	targets: Mutable<TableTarget>[];
}

export function addressOf(dice: Dice, family: 4 | 6): Buffer {
	const address = dice.bytes(16);
	if (family === 4) {
		MAPPED.copy(address, 0, 0, 12);
		address[12] = dice.between(1, 126);
	} else {
		address[0] = 0x20 + dice.below(16);
	}
	return address;
}

export const isMapped = (address: Buffer) => address.compare(MAPPED, 0, 12, 0, 12) === 0;
const familyAt = (dice: Dice): 4 | 6 => (dice.once(3) ? 6 : 4);
const unused = (taken: ReadonlySet<number>, draw: () => number) => {
	let id = draw();
	while (taken.has(id)) id = draw();
	return id;
};

const load = (dice: Dice) => dice.one([0, 0, 1, 2, dice.below(FULL_LOAD + 1)]);

function target(dice: Dice, id: number): Mutable<TableTarget> {
	const family = familyAt(dice);
	return {
		id,
		address: addressOf(dice, family),
		source: addressOf(dice, family),
		nextHop: dice.once(10) ? null : dice.bytes(6),
		ownMac: dice.bytes(6),
		port: dice.once(6) ? 0 : dice.between(1, 65_535),
		family,
		epoch: dice.below(256),
		state: dice.one([0, 1, 1, 1, 1, 1, 2]) as 0 | 1 | 2,
		mtu: dice.one([1500, 1500, 1500, 1500, 9000, 9216, 1280, 648, 200, 65_535, 40]),
		// 1 is the link that packets come from in a run.
		ifindex: dice.between(1, 5),
		alternative: 0,
		headerFlags: dice.one([0, 0x80, 0xc0, 0xa0, 0x90, 0x10, 0xff, dice.below(256)]),
		leaseS: dice.one([0, 60, 65_535]),
		load: load(dice),
		answer: dice.one([0, 1, 1, 2, 2, 3, 3]) as 0 | 1 | 2 | 3,
	};
}

function rows(dice: Dice, world: World): Uint16Array {
	const active = world.targets.filter(({ state }) => state === 1);
	// Now and then one that is going or gone, which no compiler would put there.
	const from = dice.once(4) || active.length === 0 ? world.targets : active;
	const length = dice.one([0, 1, 1, 2, 3, 7, 31, 32, 33, 97, 1009]);
	return Uint16Array.from({ length }, () => dice.one(from).id);
}

function service(dice: Dice, world: World, addresses: readonly Buffer[]): Mutable<TableService> | undefined {
	const address = dice.one(addresses);
	const made = {
		id: unused(new Set(world.services.map(({ id }) => id)), () => dice.between(1, dice.one([20, 65_535]))),
		address,
		port: dice.one([53, 53, 80, 443, world.tunnelPort, dice.between(0, 65_535)]),
		protocol: dice.one([6, 17, 17]),
		// An IPv6 service at an IPv4-mapped address can be asked for, and must get no packet.
		family: (isMapped(address) ? (dice.once(30) ? 6 : 4) : 6) as 4 | 6,
		redirection: dice.below(world.redirections.length),
		idleMs: dice.one([0, 1, 50, 1000, 1000, 10_000, 30_000, 0xffffffff]),
		idleTransitoryMs: dice.one([0, 1, 50, 1000, 30_000]),
		idleSentMs: dice.one([0, 1, 50, 1000, 30_000, 0xffffffff]),
		invitedOnly: dice.once(4),
		noSession: dice.once(6),
		portLast: 0,
		addressLength: 128,
		refusesSilently: dice.once(4),
	};
	if (dice.once(4)) made.portLast = Math.min(65_535, made.port + dice.one([1, 30, 1000, 65_535]));
	// Its address need not be the first of the prefix: the builder cuts it.
	if (dice.once(5)) made.addressLength = isMapped(address) ? dice.one([120, 124, 127]) : dice.one([48, 64, 124]);
	const same = (one: TableService) =>
		one.port === made.port &&
		one.portLast === made.portLast &&
		one.protocol === made.protocol &&
		one.addressLength === made.addressLength &&
		one.address.equals(address);
	const ranges = world.services.filter((one) => (one.portLast ?? 0) > one.port && one.address.equals(address));
	return world.services.some(same) || ranges.length > 5 ? undefined : made;
}

/** Where a service listens at an address of the server's own; now and then where another does. */
function direct(dice: Dice, world: World): TableDirect {
	const address = dice.one(world.own);
	const { id, port, portLast = 0 } = dice.one(world.services);
	return { service: id, address, port: dice.one([port, 5353]), portLast, family: isMapped(address) ? 4 : 6 };
}

function rule(dice: Dice, world: World): Mutable<TableRule> | undefined {
	const of = dice.one(world.services);
	const lengths = new Set(world.rules.filter((one) => one.service === of.id).map((one) => one.length));
	let length = of.family === 4 ? dice.one([96, 104, 112, 120, 120, 128, 128]) : dice.one([0, 32, 48, 64, 64, 128]);
	if (dice.once(4)) length = dice.below(129);
	if (lengths.size >= PREFIX_LENGTHS && !lengths.has(length)) return undefined;
	// Rules within rules: often a neighbour of one that is there.
	const near = world.rules.filter((one) => one.service === of.id);
	const prefix = near.length > 0 && !dice.once(3) ? Buffer.from(dice.one(near).prefix) : addressOf(dice, of.family);
	for (let bit = 0; bit < 128; bit++) {
		const mask = 0x80 >> (bit & 7);
		if (bit >= length) prefix[bit >> 3] = (prefix[bit >> 3] as number) & ~mask;
		else if (bit >= 100 && dice.once(8)) prefix[bit >> 3] = (prefix[bit >> 3] as number) ^ mask;
	}
	const made = { service: of.id, prefix, length, redirection: dice.below(world.redirections.length) };
	const same = (one: TableRule) => one.service === of.id && one.length === length && one.prefix.equals(prefix);
	return world.rules.some(same) ? undefined : made;
}

/** Mostly the address that frames are sent to (draft.ts) is among them; packets come from interface 1. */
function stations(dice: Dice): TableStation[] {
	const found = Array.from({ length: dice.one([0, 0, 1, 3, 31]) }, () => ({
		ifindex: dice.between(1, 3),
		mac: dice.bytes(6),
	}));
	if (!dice.once(20)) found.push({ ifindex: 1, mac: Buffer.from("020000000002", "hex") });
	return found.reverse();
}

function keep<T>(list: T[], made: T | undefined): void {
	if (made !== undefined) list.push(made);
}

export function newWorld(dice: Dice): World {
	const world: World = {
		seed: [dice.word64(), dice.word64()],
		epoch: dice.below(1000),
		roles: dice.one([ROLE.gateway, ROLE.gateway, BOTH, BOTH, BOTH, ROLE.backend]),
		wallS: dice.one([0, 1_000_000, dice.below(0x7fffffff)]),
		wallNs: dice.one([0, dice.below(1e9)]),
		windowS: dice.one([0, 1, 30, 30, 65_535]),
		tunnelPort: dice.one([6081, 6081, dice.between(1, 65_535)]),
		signKey: 0,
		maxHops: dice.one([0, 3, 5, 5]),
		controlPort: dice.one([3575, 3575, 53, dice.between(1, 65_535)]),
		ownState: dice.one([1, 1, 2, 0]),
		limits: dice.one([
			{ source: 8, burst: 32, all: 10_000 },
			{ source: 1, burst: 1, all: 10 },
			{ source: 100_000, burst: 100_000, all: 10_000_000 },
		]),
		keys: [],
		own: [addressOf(dice, 4), addressOf(dice, 6)],
		members: dice.once(2) ? [addressOf(dice, 4), addressOf(dice, 6)] : [],
		stations: [],
		services: [],
		direct: [],
		rules: [],
		redirections: [],
		targets: [],
	};
	for (let i = dice.between(1, 4); i > 0; i--) {
		const id = unused(new Set(world.keys.map((key) => key.id)), () => dice.below(256));
		world.keys.push({ id, secret: dice.bytes(16) });
	}
	world.signKey = dice.one(world.keys).id;
	world.stations = stations(dice);
	for (let i = dice.between(1, 20); i > 0; i--) {
		const id = unused(new Set(world.targets.map((one) => one.id)), () => dice.between(1, dice.one([40, LAST_TARGET])));
		world.targets.push(target(dice, id));
	}
	for (let i = dice.between(1, 10); i > 0; i--)
		world.redirections.push({
			rows: rows(dice, world),
			spread: dice.one([SPREAD.flow, SPREAD.source, SPREAD.client]),
			choice: dice.one([CHOICE.row, CHOICE.lessLoaded]),
			deny: dice.one([DENY.none, DENY.none, DENY.refuse, DENY.silent]),
		});
	const addresses = [4, 4, 4, 6, 6].map((family) => addressOf(dice, family as 4 | 6));
	if (dice.once(3)) addresses.push(dice.one(world.own)); // a service at the server's own address
	for (let i = dice.between(3, 12); i > 0; i--) keep(world.services, service(dice, world, addresses));
	for (let i = dice.between(1, 6); i > 0; i--) world.direct.push(direct(dice, world));
	for (let i = dice.between(0, 40); i > 0; i--) keep(world.rules, rule(dice, world));
	return world;
}

/** Something else is so from now on. */
export function change(dice: Dice, world: World): void {
	world.epoch++;
	for (let i = dice.between(1, 5); i > 0; i--) changes[dice.weighed(WEIGHTS)](dice, world);
}

const WEIGHTS = {
	target: 8,
	epoch: 4,
	gone: 1,
	load: 4,
	rows: 6,
	rules: 3,
	idle: 2,
	keys: 2,
	sign: 1,
	roles: 1,
	wall: 1,
	services: 1,
};

const changes: Record<keyof typeof WEIGHTS, (dice: Dice, world: World) => void> = {
	target(dice, world) {
		const one = dice.one(world.targets);
		Object.assign(one, target(dice, one.id), { epoch: one.epoch });
		if (one.state === 0) one.epoch = (one.epoch + 1) & 255;
	},
	epoch(dice, world) {
		const one = dice.one(world.targets);
		one.epoch = (one.epoch + 1) & 255;
	},
	gone(dice, world) {
		if (world.targets.length < 3) return;
		const [gone] = world.targets.splice(dice.below(world.targets.length), 1);
		for (const one of world.redirections) one.rows = one.rows.filter((id) => id !== gone?.id);
	},
	load(dice, world) {
		for (const one of world.targets) if (dice.once(3)) one.load = load(dice);
	},
	rows(dice, world) {
		dice.one(world.redirections).rows = rows(dice, world);
	},
	rules(dice, world) {
		if (dice.once(2)) world.rules.splice(dice.below(world.rules.length + 1), 3);
		else for (let i = 0; i < 4; i++) keep(world.rules, rule(dice, world));
	},
	idle(dice, world) {
		dice.one(world.services).idleMs = dice.one([0, 1, 50, 1000, 30_000]);
		dice.one(world.services).idleSentMs = dice.one([0, 1, 50, 1000, 30_000]);
	},
	keys(dice, world) {
		const at = dice.below(world.keys.length);
		world.keys[at] = { id: (world.keys[at] as TableKey).id, secret: dice.bytes(16) };
	},
	sign(dice, world) {
		// Now and then a key that is not there.
		world.signKey = dice.once(3) ? dice.below(256) : dice.one(world.keys).id;
	},
	roles(dice, world) {
		world.roles = dice.one([ROLE.gateway, BOTH, BOTH, ROLE.backend]);
	},
	wall(dice, world) {
		world.ownState = dice.one([1, 1, 2, 0]);
		world.wallS = Math.max(0, world.wallS + dice.between(-40, 40));
		world.windowS = dice.one([0, 1, 30, 65_535]);
	},
	services(dice, world) {
		const addresses = world.services.map(({ address }) => address);
		if (world.services.length > 2 && dice.once(2)) {
			const [gone] = world.services.splice(dice.below(world.services.length), 1);
			world.rules = world.rules.filter((one) => one.service !== gone?.id);
			world.direct = world.direct.filter((one) => one.service !== gone?.id);
		} else {
			keep(world.services, service(dice, world, [...addresses, addressOf(dice, 4), addressOf(dice, 6)]));
		}
	},
};

/** As it is now; it may go on changing. */
export function tablesOf(world: World): TableSet {
	return {
		epoch: world.epoch,
		roles: world.roles,
		seed: [...world.seed],
		wallOffsetNs: BigInt(world.wallS) * 1_000_000_000n + BigInt(world.wallNs),
		windowS: world.windowS,
		tunnelPort: world.tunnelPort,
		signKey: world.signKey,
		maxHops: world.maxHops,
		controlPort: world.controlPort,
		ownState: world.ownState,
		limits: world.limits,
		keys: [...world.keys],
		own: [...world.own],
		members: [...world.members],
		stations: [...world.stations],
		services: world.services.map((one) => ({ ...one })),
		direct: [...world.direct],
		rules: world.rules.map((one) => ({ ...one })),
		redirections: world.redirections.map((one) => ({ ...one })),
		targets: world.targets.map((one) => ({ ...one })),
	};
}
