// SPDX-License-Identifier: Apache-2.0
//
// table_set.cc - reads a TableSet, field by field.
// Must never: judge what it reads beyond its type; engine/tables.cc does.
#include "addon/table_set.h"

#include <cstring>

#include "datapath/tag/siphash.h"

namespace shunt
{

static TableSpec::Target read_target(const Fields &f)
{
	TableSpec::Target t = {};

	t.id = (u16)f.number("id", 65535);
	t.address = f.address("address");
	t.source = f.address("source");
	t.resolved = f.has("nextHop") && f.bytes("nextHop", t.next_hop, 6);
	f.bytes("ownMac", t.own_mac, 6);
	t.port = (u16)f.number("port", 65535);
	t.family = (u8)f.number("family", 6);
	t.epoch = (u8)f.number("epoch", 255);
	t.state = (u8)f.number("state", 2);
	t.mtu = (u16)f.number("mtu", 65535);
	t.ifindex = (u32)f.number("ifindex", 0x7fffffff);
	t.alternative = (u16)f.number("alternative", 65535);
	t.lease_s = (u16)f.number("leaseS", 65535);
	t.header_flags = (u8)f.number("headerFlags", 255);
	t.load = (u16)f.number("load", 65535, 0);
	t.answer = (u8)f.number("answer", 255, SH_ANSWER_FORWARD);
	return t;
}

static TableSpec::Service read_service(const Fields &f)
{
	TableSpec::Service s = {};

	s.id = (u16)f.number("id", 65535);
	s.address = f.address("address");
	s.port = (u16)f.number("port", 65535);
	s.protocol = (u8)f.number("protocol", 255);
	s.family = (u8)f.number("family", 6);
	s.redirection = (u16)f.number("redirection", 65535);
	s.idle_ms = (u32)f.number("idleMs", 0xffffffff);
	s.idle_sent_ms = (u32)f.number("idleSentMs", 0xffffffff, 0);
	s.counts_sources = f.flag("countSources", false);
	s.invited_only = f.flag("invitedOnly", false);
	return s;
}

static TableSpec::Redirection read_redirection(const Fields &f)
{
	TableSpec::Redirection r = {};
	Napi::Value rows = f.get("rows");

	r.spread = (u8)f.number("spread", 1);
	r.choice = (u8)f.number("choice", 255, SH_CHOOSE_ROW);
	if (rows.IsEmpty() || !rows.IsTypedArray() ||
	    rows.As<Napi::TypedArray>().TypedArrayType() != napi_uint16_array) {
		f.complain("rows", "must be a Uint16Array");
		return r;
	}
	Napi::Uint16Array array = rows.As<Napi::Uint16Array>();
	r.rows.assign(array.Data(), array.Data() + array.ElementLength());
	return r;
}

TableSpec read_table_set(const Fields &set)
{
	TableSpec spec;
	u32 i = 0;

	spec.epoch = (u32)set.number("epoch", 0xffffffff);
	spec.roles = (u32)set.number("roles", 3);
	spec.wall_offset_ns = set.bigint("wallOffsetNs");
	spec.window_s = (u16)set.number("windowS", 65535);
	spec.tunnel_port = (u16)set.number("tunnelPort", 65535);
	spec.sign_key = (u8)set.number("signKey", 255);
	spec.max_hops = (u8)set.number("maxHops", 5);
	spec.control_port = (u16)set.number("controlPort", 65535, spec.control_port);
	spec.own_state = (u8)set.number("ownState", SH_DRAINING, spec.own_state);
	if (set.has("limits")) {
		Fields limits(set.get("limits"), "limits");

		spec.limit_source = (u32)limits.number("source", 100000, spec.limit_source);
		spec.limit_burst = (u32)limits.number("burst", 100000, spec.limit_burst);
		spec.limit_all = (u32)limits.number("all", 10000000, spec.limit_all);
	}
	set.list("seed", [&](const Napi::Value &value, const std::string &place) {
		bool lossless;

		if (i < 2 && value.IsBigInt())
			spec.seed[i++] = value.As<Napi::BigInt>().Uint64Value(&lossless);
		else
			Fields::complain_at(place, "must be one of two bigints");
	});
	set.list("keys", [&](const Napi::Value &value, const std::string &place) {
		Fields f(value, place);
		TableSpec::Key key = {};
		u8 secret[16] = {};

		key.id = (u8)f.number("id", 255);
		f.bytes("secret", secret, sizeof(secret));
		sh_siphash_key(key.k, secret);
		spec.keys.push_back(key);
	});
	set.list("own", [&](const Napi::Value &value, const std::string &place) {
		spec.own.push_back(address_of(value, place));
	});
	set.list("services", [&](const Napi::Value &value, const std::string &place) {
		spec.services.push_back(read_service(Fields(value, place)));
	});
	set.list("direct", [&](const Napi::Value &value, const std::string &place) {
		Fields f(value, place);
		TableSpec::Direct direct = {};

		direct.service = (u16)f.number("service", 65535);
		direct.address = f.address("address");
		direct.port = (u16)f.number("port", 65535);
		direct.family = (u8)f.number("family", 6);
		spec.direct.push_back(direct);
	});
	set.list("rules", [&](const Napi::Value &value, const std::string &place) {
		Fields f(value, place);
		TableSpec::Rule rule = {};

		rule.service = (u16)f.number("service", 65535);
		rule.prefix = f.address("prefix");
		rule.length = (u8)f.number("length", 128);
		rule.redirection = (u16)f.number("redirection", 65535);
		spec.rules.push_back(rule);
	});
	set.list("redirections", [&](const Napi::Value &value, const std::string &place) {
		spec.redirections.push_back(read_redirection(Fields(value, place)));
	});
	set.list("targets", [&](const Napi::Value &value, const std::string &place) {
		spec.targets.push_back(read_target(Fields(value, place)));
	});
	return spec;
}

} // namespace shunt
