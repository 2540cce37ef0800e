// SPDX-License-Identifier: Apache-2.0
//
// table_records.h - copies what TableSpec and a record have in common; what a record alone has stays 0.
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.
#ifndef SHUNT_ENGINE_TABLE_RECORDS_H
#define SHUNT_ENGINE_TABLE_RECORDS_H

#include <algorithm>

#include "engine/table_spec.h"

namespace shunt
{

// clang-format off
inline struct sh_key key_record(const TableSpec::Key &s)
{
	struct sh_key r = {};

	std::copy(s.k, s.k + 2, r.k);
	return r;
}

inline struct sh_service service_record(const TableSpec::Service &s)
{
	struct sh_service r = {};

	r.id = s.id;
	r.address = s.address;
	r.port = sh_htons(s.port);
	r.address_length = s.address_length;
	r.protocol = s.protocol;
	r.family = s.family;
	r.redirection = s.redirection;
	r.flags |= s.invited_only ? SH_SERVICE_INVITED_ONLY : 0;
	r.flags |= s.refuses_silently ? SH_SERVICE_REFUSES_SILENTLY : 0;
	r.flags |= s.no_session ? SH_SERVICE_NO_SESSION : 0;
	return r;
}

inline struct sh_rule rule_record(const TableSpec::Rule &s)
{
	struct sh_rule r = {};

	r.service = s.service;
	r.prefix = s.prefix;
	r.length = s.length;
	r.redirection = s.redirection;
	return r;
}

inline struct sh_redirection redirection_record(const TableSpec::Redirection &s)
{
	struct sh_redirection r = {};

	r.spread = s.spread;
	r.choice = s.choice;
	r.deny = s.deny;
	return r;
}

inline struct sh_target target_record(const TableSpec::Target &s)
{
	struct sh_target r = {};

	r.address = s.address;
	r.source = s.source;
	r.flags |= s.resolved ? SH_TARGET_RESOLVED : 0;
	std::copy(s.next_hop, s.next_hop + 6, r.next_hop);
	std::copy(s.own_mac, s.own_mac + 6, r.own_mac);
	r.port = sh_htons(s.port);
	r.family = s.family;
	r.epoch = s.epoch;
	r.state = s.state;
	r.mtu = s.mtu;
	r.ifindex = s.ifindex;
	r.alternative = s.alternative;
	r.lease_s = s.lease_s;
	r.header_flags = s.header_flags;
	r.answer = s.answer;
	r.load = s.load;
	return r;
}

inline struct sh_control set_record(const TableSpec &s)
{
	struct sh_control r = {};

	std::copy(s.seed, s.seed + 2, r.seed);
	r.wall_offset_ns = s.wall_offset_ns;
	r.epoch = s.epoch;
	r.roles = s.roles;
	r.window_s = s.window_s;
	r.tunnel_port = sh_htons(s.tunnel_port);
	r.sign_key = s.sign_key;
	r.max_hops = s.max_hops;
	r.own_state = s.own_state;
	r.control_port = sh_htons(s.control_port);
	return r;
}

// clang-format on

} // namespace shunt

#endif
