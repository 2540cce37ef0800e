// packed-tables.ts - entries of tables as bytes, which another thread reads.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.

import type { TableRule, TableService, TableTarget } from "../policy/index.js";

/** Bytes of an entry. */
export const PACKED_BYTES = {
	service: 43,
	rule: 21,
	target: 66,
} as const;

/** Where each field begins. One is missing: run node scripts/table-fields.mjs. */
const SERVICE = {
	id: 0,
	address: 2,
	port: 18,
	portLast: 20,
	addressLength: 22,
	protocol: 23,
	family: 24,
	redirection: 25,
	idleMs: 27,
	idleTransitoryMs: 31,
	idleSentMs: 35,
	countSources: 39,
	invitedOnly: 40,
	refusesSilently: 41,
	noSession: 42,
} as const satisfies Record<keyof TableService, number>;

export function packService(from: TableService, to: Buffer, at: number): void {
	to.writeUInt16LE(from.id, at + SERVICE.id);
	to.set(from.address, at + SERVICE.address);
	to.writeUInt16LE(from.port, at + SERVICE.port);
	to.writeUInt16LE(from.portLast ?? 0, at + SERVICE.portLast);
	to.writeUInt8(from.addressLength ?? 128, at + SERVICE.addressLength);
	to.writeUInt8(from.protocol, at + SERVICE.protocol);
	to.writeUInt8(from.family, at + SERVICE.family);
	to.writeUInt16LE(from.redirection, at + SERVICE.redirection);
	to.writeUInt32LE(from.idleMs, at + SERVICE.idleMs);
	to.writeUInt32LE(from.idleTransitoryMs ?? 0, at + SERVICE.idleTransitoryMs);
	to.writeUInt32LE(from.idleSentMs ?? 0, at + SERVICE.idleSentMs);
	to.writeUInt8(from.countSources ? 1 : 0, at + SERVICE.countSources);
	to.writeUInt8(from.invitedOnly ? 1 : 0, at + SERVICE.invitedOnly);
	to.writeUInt8(from.refusesSilently ? 1 : 0, at + SERVICE.refusesSilently);
	to.writeUInt8(from.noSession ? 1 : 0, at + SERVICE.noSession);
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
