// SPDX-License-Identifier: Apache-2.0
//
// table_check.cc - see the header.
#include "engine/table_check.h"

#include <algorithm>
#include <bitset>
#include <map>
#include <set>
#include <tuple>

#include "datapath/lookup/choose.h"

namespace shunt
{

static Status wrong(const char *list, size_t i, const std::string &what)
{
	return Status::error(std::string(list) + "[" + std::to_string(i) + "] " + what);
}

static bool is_family(u8 family)
{
	return family == SH_IPV4 || family == SH_IPV6;
}

static Status check_services(const TableSpec &spec, std::vector<bool> *ids)
{
	std::set<std::tuple<u64, u64, u8, u16, u16, u8>> keys;
	std::map<std::tuple<u64, u64, u8, u8>, u32> ranges; // of ports, at an address and protocol
	std::set<u8> lengths;

	for (size_t i = 0; i < spec.services.size(); i++) {
		const TableSpec::Service &s = spec.services[i];

		if (s.id == 0)
			return wrong("services", i, "has id 0, which means an empty slot");
		if ((*ids)[s.id])
			return wrong("services", i, "has an id that another service has: " + std::to_string(s.id));
		(*ids)[s.id] = true;
		if (s.protocol != SH_UDP && s.protocol != SH_TCP)
			return wrong("services", i,
			             "has a protocol that is neither 6 nor 17: " + std::to_string(s.protocol));
		if (!is_family(s.family))
			return wrong("services", i,
			             "has a family that is neither 4 nor 6: " + std::to_string(s.family));
		if (s.redirection >= spec.redirections.size())
			return wrong("services", i,
			             "names a redirection that does not exist: " + std::to_string(s.redirection));
		if (!keys.insert({s.address.d[0], s.address.d[1], s.address_length, s.port,
		                  std::max(s.port, s.port_last), s.protocol})
		             .second)
			return wrong("services", i, "has the address, port and protocol of another service");
		if (s.port_last > s.port &&
		    ++ranges[{s.address.d[0], s.address.d[1], s.address_length, s.protocol}] > SH_RANGES)
			return wrong("services", i,
			             "brings its address to more than " + std::to_string(SH_RANGES) +
			                     " ranges of ports");
		if (s.address_length == 0)
			return wrong("services", i, "has a prefix of all addresses");
		if (s.address_length < 128)
			lengths.insert(s.address_length);
		if (lengths.size() > SH_ADDRESS_LENGTHS)
			return wrong("services", i,
			             "brings the services to more than " + std::to_string(SH_ADDRESS_LENGTHS) +
			                     " different lengths of address prefixes");
	}
	return Status();
}

static Status check_direct(const TableSpec &spec, const std::vector<bool> &services)
{
	for (size_t i = 0; i < spec.direct.size(); i++) {
		const TableSpec::Direct &d = spec.direct[i];

		if (!services[d.service])
			return wrong("direct", i, "names a service that does not exist: " + std::to_string(d.service));
		if (!is_family(d.family))
			return wrong("direct", i, "has a family that is neither 4 nor 6: " + std::to_string(d.family));
	}
	return Status();
}

static Status check_rules(const TableSpec &spec, const std::vector<bool> &services)
{
	std::vector<std::tuple<u16, u8, u64, u64, size_t>>
		keys;                            // sorted later: a set of 100,000 takes ten times as long
	std::map<u16, std::bitset<129>> lengths; // by service

	keys.reserve(spec.rules.size());

	for (size_t i = 0; i < spec.rules.size(); i++) {
		const TableSpec::Rule &r = spec.rules[i];

		if (!services[r.service])
			return wrong("rules", i, "names a service that does not exist: " + std::to_string(r.service));
		if (r.length > 128)
			return wrong("rules", i, "has a prefix longer than 128: " + std::to_string(r.length));
		if (r.redirection >= spec.redirections.size())
			return wrong("rules", i,
			             "names a redirection that does not exist: " + std::to_string(r.redirection));
		sh_addr prefix = sh_addr_prefix(&r.prefix, r.length);
		keys.emplace_back(r.service, r.length, prefix.d[0], prefix.d[1], i);
		std::bitset<129> &of_service = lengths[r.service];
		of_service.set(r.length);
		if (of_service.count() > SH_PREFIX_LENGTHS)
			return wrong("rules", i,
			             "brings its service to more than " + std::to_string(SH_PREFIX_LENGTHS) +
			                     " different prefix lengths");
	}
	std::sort(keys.begin(), keys.end());
	auto same = std::adjacent_find(keys.begin(), keys.end(), [](const auto &a, const auto &b) {
		return std::get<0>(a) == std::get<0>(b) && std::get<1>(a) == std::get<1>(b) &&
		       std::get<2>(a) == std::get<2>(b) && std::get<3>(a) == std::get<3>(b);
	});
	if (same != keys.end())
		return wrong("rules", std::get<4>(*std::next(same)), "has the service and prefix of another rule");
	return Status();
}

static Status check_targets(const TableSpec &spec, std::vector<bool> *ids)
{
	for (size_t i = 0; i < spec.targets.size(); i++) {
		const TableSpec::Target &t = spec.targets[i];

		if (t.id == 0 || t.id == SH_TARGET_LOCAL)
			return wrong("targets", i, "has a reserved id: " + std::to_string(t.id));
		if ((*ids)[t.id])
			return wrong("targets", i, "has an id that another target has: " + std::to_string(t.id));
		(*ids)[t.id] = true;
		if (!is_family(t.family))
			return wrong("targets", i, "has a family that is neither 4 nor 6: " + std::to_string(t.family));
		if (t.state > SH_DRAINING)
			return wrong("targets", i, "has an unknown state: " + std::to_string(t.state));
		if (t.answer > SH_ANSWER_RETURN)
			return wrong("targets", i, "has an unknown answer: " + std::to_string(t.answer));
	}
	return Status();
}

static Status check_redirections(const TableSpec &spec, const std::vector<bool> &targets)
{
	for (size_t i = 0; i < spec.redirections.size(); i++) {
		const TableSpec::Redirection &r = spec.redirections[i];

		if (r.choice > SH_CHOOSE_LESS_LOADED)
			return wrong("redirections", i, "has an unknown choice: " + std::to_string(r.choice));
		for (u16 row : r.rows)
			if (!targets[row])
				return wrong("redirections", i,
				             "has a row that names a target that does not exist: " +
				                     std::to_string(row));
	}
	if (spec.redirections.size() > 65536)
		return Status::error("redirections are " + std::to_string(spec.redirections.size()) +
		                     "; a set of tables can have 65536");
	return Status();
}

Status check_tables(const TableSpec &spec)
{
	std::vector<bool> services(65536), targets(65536);

	if (spec.stations.size() > SH_STATIONS)
		return Status::error("stations are " + std::to_string(spec.stations.size()) +
		                     "; a set of tables can have " + std::to_string(SH_STATIONS));
	if (Status s = check_services(spec, &services); !s.ok())
		return s;
	if (Status s = check_direct(spec, services); !s.ok())
		return s;
	if (Status s = check_rules(spec, services); !s.ok())
		return s;
	if (Status s = check_targets(spec, &targets); !s.ok())
		return s;
	return check_redirections(spec, targets);
}

} // namespace shunt
