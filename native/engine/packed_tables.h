// SPDX-License-Identifier: Apache-2.0
//
// packed_tables.h - reads the entries of tables that src/engine/packed-tables.ts has packed.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.
#ifndef SHUNT_ENGINE_PACKED_TABLES_H
#define SHUNT_ENGINE_PACKED_TABLES_H

#include <algorithm>
#include <cstring>

#include "engine/table_spec.h"

namespace shunt
{

// clang-format off
template <typename T> T packed(const u8 *p)
{
	T value;

	memcpy(&value, p, sizeof(value));
	return value;
}

constexpr size_t PACKED_SERVICE = 43;

inline TableSpec::Service unpack_service(const u8 *p)
{
	TableSpec::Service s;

	s.id = packed<u16>(p + 0);
	s.address = packed<sh_addr>(p + 2);
	s.port = packed<u16>(p + 18);
	s.port_last = packed<u16>(p + 20);
	s.address_length = p[22];
	s.protocol = p[23];
	s.family = p[24];
	s.redirection = packed<u16>(p + 25);
	s.idle_ms = packed<u32>(p + 27);
	s.idle_transitory_ms = packed<u32>(p + 31);
	s.idle_sent_ms = packed<u32>(p + 35);
	s.count_sources = p[39] != 0;
	s.invited_only = p[40] != 0;
	s.refuses_silently = p[41] != 0;
	s.no_session = p[42] != 0;
	return s;
}

constexpr size_t PACKED_RULE = 21;

inline TableSpec::Rule unpack_rule(const u8 *p)
{
	TableSpec::Rule s;

	s.service = packed<u16>(p + 0);
	s.prefix = packed<sh_addr>(p + 2);
	s.length = p[18];
	s.redirection = packed<u16>(p + 19);
	return s;
}

constexpr size_t PACKED_TARGET = 66;

inline TableSpec::Target unpack_target(const u8 *p)
{
	TableSpec::Target s;

	s.id = packed<u16>(p + 0);
	s.address = packed<sh_addr>(p + 2);
	s.source = packed<sh_addr>(p + 18);
	s.resolved = p[34] != 0;
	std::copy(p + 35, p + 41, s.next_hop);
	std::copy(p + 41, p + 47, s.own_mac);
	s.port = packed<u16>(p + 47);
	s.family = p[49];
	s.epoch = p[50];
	s.state = p[51];
	s.mtu = packed<u16>(p + 52);
	s.ifindex = packed<u32>(p + 54);
	s.alternative = packed<u16>(p + 58);
	s.lease_s = packed<u16>(p + 60);
	s.header_flags = p[62];
	s.answer = p[63];
	s.load = packed<u16>(p + 64);
	return s;
}

// clang-format on

} // namespace shunt

#endif
