// SPDX-License-Identifier: Apache-2.0
//
// table_entries.cc - see the header.
#include "engine/table_entries.h"

#include <algorithm>
#include <functional>
#include <set>

#include "datapath/lookup/choose.h"
#include "datapath/parse/station.h"

namespace shunt
{

u32 ticks_of(u32 ms)
{
	return static_cast<u32>(std::min<u64>((u64)ms * 1000000 >> SH_TICK_SHIFT, 0x7fffffff));
}

// Between two of so many a second, in units of 1,024 ns; 0: no limit.
static u32 limit_period(u32 per_s)
{
	return per_s ? std::max(1000000000u / 1024 / per_s, 1u) : 0;
}

static bool has_ports(const TableSpec::Service &service)
{
	return service.port_last > service.port;
}

// The distinct lengths of the services' prefixes of addresses, longest first, and whether there is anything beyond exact
// addresses and ports to look up.
static void set_address_lengths(const TableSpec &spec, struct sh_control *control)
{
	std::set<u8, std::greater<u8>> lengths;

	for (const TableSpec::Service &service : spec.services) {
		if (service.address_length < 128)
			lengths.insert(service.address_length);
		control->wide |= has_ports(service) || service.address_length < 128;
	}
	std::copy(lengths.begin(), lengths.end(), control->address_lengths);
}

struct sh_control control_entry(const TableSpec &spec)
{
	struct sh_control control = set_record(spec);

	control.seed_ipv4 = sh_mix(spec.seed[0]);
	set_address_lengths(spec, &control);
	control.members_only = !spec.members.empty();
	control.limit_period = limit_period(spec.limits.source);
	control.limit_tolerance = control.limit_period * (std::max(spec.limits.burst, 1u) - 1);
	control.limit_all_period = limit_period(spec.limits.all);
	control.limit_all_tolerance = 100000; // a tenth of a second's worth at once
	for (const TableSpec::Station &station : spec.stations)
		control.stations[control.station_count++] = sh_station_key(station.mac, station.ifindex);
	return control;
}

static void set_ports(u16 first, u16 last, sh_service *entry)
{
	entry->first = first;
	entry->last = std::max(first, last);
	entry->port = entry->last > first ? 0 : sh_htons(first);
	entry->protocol &= (u8)~SH_PROTOCOL_RANGE;
	if (entry->last > first)
		entry->protocol |= SH_PROTOCOL_RANGE;
}

sh_service service_entry(const TableSpec::Service &service)
{
	sh_service entry = service_record(service);

	entry.idle_ticks = ticks_of(service.idle_ms);
	entry.idle_transitory_ticks = service.protocol == SH_TCP && service.idle_transitory_ms
	                                      ? ticks_of(service.idle_transitory_ms)
	                                      : entry.idle_ticks;
	entry.idle_sent_ticks = service.idle_sent_ms ? std::max(ticks_of(service.idle_sent_ms), 1u) : 0;
	if (service.no_session) // records of a time when it had sessions end at once
		entry.idle_ticks = entry.idle_transitory_ticks = entry.idle_sent_ticks = 0;
	entry.address = sh_addr_prefix(&service.address, service.address_length);
	set_ports(service.port, service.port_last, &entry);
	return entry;
}

// The distinct lengths of each service's rules, longest first.
static void set_prefix_lengths(const std::vector<TableSpec::Rule> &rules, std::vector<sh_service> *services)
{
	std::vector<sh_service *> by_id(65536);

	for (sh_service &service : *services)
		by_id[service.id] = &service;
	for (const TableSpec::Rule &rule : rules) {
		sh_service &s = *by_id[rule.service];
		u8 *end = s.prefix_lengths + s.prefix_count;

		if (std::find(s.prefix_lengths, end, rule.length) != end)
			continue;
		s.prefix_lengths[s.prefix_count++] = rule.length;
		std::sort(s.prefix_lengths, s.prefix_lengths + s.prefix_count, std::greater<u8>());
	}
}

std::vector<sh_service> service_entries(const TableSpec &spec)
{
	std::vector<sh_service> entries;
	auto taken = [&](const sh_service &entry) {
		return std::any_of(entries.begin(), entries.end(), [&](const sh_service &other) {
			return other.first == entry.first && other.last == entry.last &&
			       other.protocol == entry.protocol && other.address_length == entry.address_length &&
			       sh_addr_equal(&other.address, &entry.address);
		});
	};

	for (const TableSpec::Service &service : spec.services)
		entries.push_back(service_entry(service));
	set_prefix_lengths(spec.rules, &entries);
	for (const TableSpec::Direct &direct : spec.direct) {
		auto is_it = [&](const TableSpec::Service &service) { return service.id == direct.service; };
		sh_service entry = service_entry(*std::find_if(spec.services.begin(), spec.services.end(), is_it));

		entry.address = direct.address;
		entry.address_length = 128;
		set_ports(direct.port, direct.port_last, &entry);
		entry.family = direct.family;
		if (!taken(entry))
			entries.push_back(entry);
	}
	// The builder of the hash table keeps this order within a key, and the look-up takes the first range that fits.
	std::stable_sort(entries.begin(), entries.end(),
	                 [](const sh_service &a, const sh_service &b) { return a.last - a.first < b.last - b.first; });
	return entries;
}

std::vector<sh_rule> rule_entries(const TableSpec &spec)
{
	std::vector<sh_rule> entries;

	for (const TableSpec::Rule &rule : spec.rules) {
		sh_rule entry = rule_record(rule);

		entry.prefix = sh_addr_prefix(&rule.prefix, rule.length);
		entries.push_back(entry);
	}
	return entries;
}

std::vector<sh_own> own_entries(const TableSpec &spec)
{
	std::vector<sh_own> entries;
	auto add = [&](const sh_addr &address, u32 length, u32 kind) {
		for (sh_own &own : entries)
			if (sh_addr_equal(&own.address, &address) && own.length == length) {
				own.kind |= kind;
				return;
			}
		entries.push_back(sh_own{address, kind, length, {}});
	};

	for (const TableSpec::Service &service : spec.services)
		add(sh_addr_prefix(&service.address, service.address_length), service.address_length, SH_OWN_SERVICE);
	for (const sh_addr &address : spec.own)
		add(address, 128, SH_OWN_HOST);
	for (const sh_addr &address : spec.members)
		add(address, 128, SH_OWN_MEMBER);
	return entries;
}

} // namespace shunt
