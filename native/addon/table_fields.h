// SPDX-License-Identifier: Apache-2.0
//
// table_fields.h - reads a set of tables, field by field. What does not fit is left in Fields::problem().
// Generated from native/datapath/table_fields.yaml by scripts/table-fields.mjs; do not edit.
#ifndef SHUNT_ADDON_TABLE_FIELDS_H
#define SHUNT_ADDON_TABLE_FIELDS_H

#include "addon/fields.h"
#include "engine/table_spec.h"

namespace shunt
{

// clang-format off
inline TableSpec::Key read_key(const Fields &f)
{
	TableSpec::Key s;

	s.id = (u8)f.number("id", 0xff);
	f.secret("secret", s.k);
	return s;
}

inline TableSpec::Service read_service(const Fields &f)
{
	TableSpec::Service s;

	s.id = (u16)f.number("id", 0xffff);
	s.address = f.address("address");
	s.port = (u16)f.number("port", 0xffff);
	s.port_last = (u16)f.number("portLast", 0xffff, s.port_last);
	s.address_length = (u8)f.number("addressLength", 128, s.address_length);
	s.protocol = (u8)f.number("protocol", 0xff);
	s.family = (u8)f.number("family", 6);
	s.redirection = (u16)f.number("redirection", 0xffff);
	s.idle_ms = (u32)f.number("idleMs", 0xffffffff);
	s.idle_transitory_ms = (u32)f.number("idleTransitoryMs", 0xffffffff, s.idle_transitory_ms);
	s.idle_sent_ms = (u32)f.number("idleSentMs", 0xffffffff, s.idle_sent_ms);
	s.count_sources = f.flag("countSources", s.count_sources);
	s.invited_only = f.flag("invitedOnly", s.invited_only);
	s.refuses_silently = f.flag("refusesSilently", s.refuses_silently);
	s.no_session = f.flag("noSession", s.no_session);
	return s;
}

inline TableSpec::Direct read_direct(const Fields &f)
{
	TableSpec::Direct s;

	s.service = (u16)f.number("service", 0xffff);
	s.address = f.address("address");
	s.port = (u16)f.number("port", 0xffff);
	s.port_last = (u16)f.number("portLast", 0xffff, s.port_last);
	s.family = (u8)f.number("family", 6);
	return s;
}

inline TableSpec::Rule read_rule(const Fields &f)
{
	TableSpec::Rule s;

	s.service = (u16)f.number("service", 0xffff);
	s.prefix = f.address("prefix");
	s.length = (u8)f.number("length", 128);
	s.redirection = (u16)f.number("redirection", 0xffff);
	return s;
}

inline TableSpec::Redirection read_redirection(const Fields &f)
{
	TableSpec::Redirection s;

	f.rows("rows", &s.rows);
	s.spread = (u8)f.number("spread", 2);
	s.choice = (u8)f.number("choice", 0xff, s.choice);
	s.deny = (u8)f.number("deny", 2, s.deny);
	return s;
}

inline TableSpec::Target read_target(const Fields &f)
{
	TableSpec::Target s;

	s.id = (u16)f.number("id", 0xffff);
	s.address = f.address("address");
	s.source = f.address("source");
	s.resolved = f.has("nextHop") && f.bytes("nextHop", s.next_hop, 6);
	f.bytes("ownMac", s.own_mac, 6);
	s.port = (u16)f.number("port", 0xffff);
	s.family = (u8)f.number("family", 6);
	s.epoch = (u8)f.number("epoch", 0xff);
	s.state = (u8)f.number("state", 2);
	s.mtu = (u16)f.number("mtu", 0xffff);
	s.ifindex = (u32)f.number("ifindex", 2147483647);
	s.alternative = (u16)f.number("alternative", 0xffff);
	s.lease_s = (u16)f.number("leaseS", 0xffff);
	s.header_flags = (u8)f.number("headerFlags", 0xff);
	s.answer = (u8)f.number("answer", 0xff, s.answer);
	s.load = (u16)f.number("load", 0xffff, s.load);
	return s;
}

inline TableSpec::Station read_station(const Fields &f)
{
	TableSpec::Station s;

	s.ifindex = (u32)f.number("ifindex", 2147483647);
	f.bytes("mac", s.mac, 6);
	return s;
}

inline TableSpec::Limits read_limits(const Fields &f)
{
	TableSpec::Limits s;

	s.source = (u32)f.number("source", 100000);
	s.burst = (u32)f.number("burst", 100000);
	s.all = (u32)f.number("all", 10000000);
	return s;
}

inline TableSpec read_set(const Fields &f)
{
	TableSpec s;

	f.bigints("seed", s.seed, 2);
	s.wall_offset_ns = f.bigint("wallOffsetNs");
	s.epoch = (u32)f.number("epoch", 0xffffffff);
	s.roles = (u32)f.number("roles", 3);
	s.window_s = (u16)f.number("windowS", 0xffff);
	s.tunnel_port = (u16)f.number("tunnelPort", 0xffff);
	s.sign_key = (u8)f.number("signKey", 0xff);
	s.max_hops = (u8)f.number("maxHops", 5);
	s.own_state = (u8)f.number("ownState", 2, s.own_state);
	s.control_port = (u16)f.number("controlPort", 0xffff, s.control_port);
	if (f.has("limits"))
		s.limits = read_limits(f.object("limits"));
	f.list("stations", [&](const Napi::Value &value, const std::string &place) {
		s.stations.push_back(read_station(Fields(value, place)));
	});
	f.list("keys", [&](const Napi::Value &value, const std::string &place) {
		s.keys.push_back(read_key(Fields(value, place)));
	});
	f.list("own", [&](const Napi::Value &value, const std::string &place) {
		s.own.push_back(address_of(value, place));
	});
	f.list("members", [&](const Napi::Value &value, const std::string &place) {
		s.members.push_back(address_of(value, place));
	});
	f.list("services", [&](const Napi::Value &value, const std::string &place) {
		s.services.push_back(read_service(Fields(value, place)));
	});
	f.list("direct", [&](const Napi::Value &value, const std::string &place) {
		s.direct.push_back(read_direct(Fields(value, place)));
	});
	f.list("rules", [&](const Napi::Value &value, const std::string &place) {
		s.rules.push_back(read_rule(Fields(value, place)));
	});
	f.list("redirections", [&](const Napi::Value &value, const std::string &place) {
		s.redirections.push_back(read_redirection(Fields(value, place)));
	});
	f.list("targets", [&](const Napi::Value &value, const std::string &place) {
		s.targets.push_back(read_target(Fields(value, place)));
	});
	return s;
}

// clang-format on

} // namespace shunt

#endif
