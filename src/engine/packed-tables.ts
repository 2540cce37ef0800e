// packed-tables.ts - entries of tables as bytes, which another thread reads.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.

import type { TableRule, TableService, TableTarget } from "../policy/index.js";

/** Bytes of an entry. */
export const PACKED_BYTES = {
	service: 34,
	rule: 21,
	target: 66,
} as const;

export function packService(from: TableService, to: Buffer, at: number): void {
	to.writeUInt16LE(from.id, at);
	to.set(from.address, at + 2);
	to.writeUInt16LE(from.port, at + 18);
	to.writeUInt8(from.protocol, at + 20);
	to.writeUInt8(from.family, at + 21);
	to.writeUInt16LE(from.redirection, at + 22);
	to.writeUInt32LE(from.idleMs, at + 24);
	to.writeUInt32LE(from.idleSentMs ?? 0, at + 28);
	to.writeUInt8(from.countSources ? 1 : 0, at + 32);
	to.writeUInt8(from.invitedOnly ? 1 : 0, at + 33);
}

export function packRule(from: TableRule, to: Buffer, at: number): void {
	to.writeUInt16LE(from.service, at);
	to.set(from.prefix, at + 2);
	to.writeUInt8(from.length, at + 18);
	to.writeUInt16LE(from.redirection, at + 19);
}

export function packTarget(from: TableTarget, to: Buffer, at: number): void {
	to.writeUInt16LE(from.id, at);
	to.set(from.address, at + 2);
	to.set(from.source, at + 18);
	to.writeUInt8(from.nextHop === null ? 0 : 1, at + 34);
	if (from.nextHop !== null) to.set(from.nextHop, at + 35);
	to.set(from.ownMac, at + 41);
	to.writeUInt16LE(from.port, at + 47);
	to.writeUInt8(from.family, at + 49);
	to.writeUInt8(from.epoch, at + 50);
	to.writeUInt8(from.state, at + 51);
	to.writeUInt16LE(from.mtu, at + 52);
	to.writeUInt32LE(from.ifindex, at + 54);
	to.writeUInt16LE(from.alternative, at + 58);
	to.writeUInt16LE(from.leaseS, at + 60);
	to.writeUInt8(from.headerFlags, at + 62);
	to.writeUInt8(from.answer ?? 0, at + 63);
	to.writeUInt16LE(from.load ?? 0, at + 64);
}
