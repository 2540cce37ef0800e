// packed-tables.ts - entries of tables as bytes, which another thread reads.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.

import type { TableRule, TableService, TableTarget } from "../policy/index.js";

/** Bytes of an entry. */
export const PACKED_BYTES = {
	service: 39,
	rule: 21,
	target: 66,
} as const;

/** Where each field begins. One is missing: run node scripts/table-fields.mjs. */
const SERVICE = {
	id: 0,
	address: 2,
	port: 18,
	protocol: 20,
	family: 21,
	redirection: 22,
	idleMs: 24,
	idleTransitoryMs: 28,
	idleSentMs: 32,
	countSources: 36,
	invitedOnly: 37,
	refusesSilently: 38,
} as const satisfies Record<keyof TableService, number>;

export function packService(from: TableService, to: Buffer, at: number): void {
	to.writeUInt16LE(from.id, at + SERVICE.id);
	to.set(from.address, at + SERVICE.address);
	to.writeUInt16LE(from.port, at + SERVICE.port);
	to.writeUInt8(from.protocol, at + SERVICE.protocol);
	to.writeUInt8(from.family, at + SERVICE.family);
	to.writeUInt16LE(from.redirection, at + SERVICE.redirection);
	to.writeUInt32LE(from.idleMs, at + SERVICE.idleMs);
	to.writeUInt32LE(from.idleTransitoryMs ?? 0, at + SERVICE.idleTransitoryMs);
	to.writeUInt32LE(from.idleSentMs ?? 0, at + SERVICE.idleSentMs);
	to.writeUInt8(from.countSources ? 1 : 0, at + SERVICE.countSources);
	to.writeUInt8(from.invitedOnly ? 1 : 0, at + SERVICE.invitedOnly);
	to.writeUInt8(from.refusesSilently ? 1 : 0, at + SERVICE.refusesSilently);
}

/** Where each field begins. One is missing: run node scripts/table-fields.mjs. */
const RULE = {
	service: 0,
	prefix: 2,
	length: 18,
	redirection: 19,
} as const satisfies Record<keyof TableRule, number>;

export function packRule(from: TableRule, to: Buffer, at: number): void {
	to.writeUInt16LE(from.service, at + RULE.service);
	to.set(from.prefix, at + RULE.prefix);
	to.writeUInt8(from.length, at + RULE.length);
	to.writeUInt16LE(from.redirection, at + RULE.redirection);
}

/** Where each field begins. One is missing: run node scripts/table-fields.mjs. */
const TARGET = {
	id: 0,
	address: 2,
	source: 18,
	nextHop: 34,
	ownMac: 41,
	port: 47,
	family: 49,
	epoch: 50,
	state: 51,
	mtu: 52,
	ifindex: 54,
	alternative: 58,
	leaseS: 60,
	headerFlags: 62,
	answer: 63,
	load: 64,
} as const satisfies Record<keyof TableTarget, number>;

export function packTarget(from: TableTarget, to: Buffer, at: number): void {
	to.writeUInt16LE(from.id, at + TARGET.id);
	to.set(from.address, at + TARGET.address);
	to.set(from.source, at + TARGET.source);
	to.writeUInt8(from.nextHop === null ? 0 : 1, at + TARGET.nextHop);
	if (from.nextHop !== null) to.set(from.nextHop, at + TARGET.nextHop + 1);
	to.set(from.ownMac, at + TARGET.ownMac);
	to.writeUInt16LE(from.port, at + TARGET.port);
	to.writeUInt8(from.family, at + TARGET.family);
	to.writeUInt8(from.epoch, at + TARGET.epoch);
	to.writeUInt8(from.state, at + TARGET.state);
	to.writeUInt16LE(from.mtu, at + TARGET.mtu);
	to.writeUInt32LE(from.ifindex, at + TARGET.ifindex);
	to.writeUInt16LE(from.alternative, at + TARGET.alternative);
	to.writeUInt16LE(from.leaseS, at + TARGET.leaseS);
	to.writeUInt8(from.headerFlags, at + TARGET.headerFlags);
	to.writeUInt8(from.answer ?? 0, at + TARGET.answer);
	to.writeUInt16LE(from.load ?? 0, at + TARGET.load);
}
