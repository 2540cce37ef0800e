// SPDX-License-Identifier: Apache-2.0
//
// service_aging.cc - see the header.
#include "engine/service_aging.h"

#include <algorithm>

#include "datapath/header.h"
#include "engine/table_entries.h"

namespace shunt
{

// By service id: the longest lease that a client of it may be given.
static std::vector<u16> longest_leases(const TableSpec &spec)
{
	std::vector<u16> of_target(65536), of_redirection, of_service(65536);

	for (const TableSpec::Target &target : spec.targets)
		of_target[target.id] = target.header_flags & SH_F_LEASED ? target.lease_s : 0;
	for (const TableSpec::Redirection &redirection : spec.redirections) {
		u16 longest = 0;

		for (u16 row : redirection.rows)
			longest = std::max(longest, of_target[row]);
		of_redirection.push_back(longest);
	}
	for (const TableSpec::Service &service : spec.services)
		of_service[service.id] = of_redirection[service.redirection];
	for (const TableSpec::Rule &rule : spec.rules)
		of_service[rule.service] = std::max(of_service[rule.service], of_redirection[rule.redirection]);
	return of_service;
}

std::vector<Aging> service_aging(const TableSpec &spec)
{
	std::vector<Aging> by_id(65536, Aging{});
	std::vector<u16> leases = longest_leases(spec);

	for (const TableSpec::Service &service : spec.services) {
		sh_service entry = service_entry(service);
		Aging &aging = by_id[service.id];
		u32 longest = std::max(entry.idle_sent_ticks, ticks_of(leases[service.id] * 1000u));

		aging.idle_ticks = std::max(entry.idle_ticks, 1u);
		aging.transitory_ticks = std::max(entry.idle_transitory_ticks, 1u);
		aging.counts_sources = service.count_sources;
		if (longest > entry.idle_ticks)
			aging.ahead = longest - entry.idle_ticks;
	}
	return by_id;
}

} // namespace shunt
