// SPDX-License-Identifier: Apache-2.0
//
// failure_reports.h - reads what the packet program has noted of clients' failure reports (datapath/signal/failure_report.h).
//
// Owns: the clearing of what was read, and when a record is free for another target: after a reading that found nothing new in it.
// Must never: decide how many networks are enough.
#ifndef SHUNT_ENGINE_FAILURE_REPORTS_H
#define SHUNT_ENGINE_FAILURE_REPORTS_H

#include <vector>

#include "engine/sessions.h"

namespace shunt
{

struct FailureReport {
	u16 service; // its id
	sh_addr address;
	u16 port; // host order
	u64 networks;
};

// All since the last call.
inline std::vector<FailureReport> take_failure_reports(const Sessions &sessions)
{
	std::vector<FailureReport> found;

	for (u32 i = 0; sessions.failures() && i < SH_FAILURE_REPORTS; i++) {
		sh_failure_report *report = &sessions.failures()[i];

		if (!__atomic_load_n(&report->check, __ATOMIC_ACQUIRE))
			continue;
		u64 networks = __atomic_exchange_n(&report->networks, 0, __ATOMIC_ACQ_REL);
		if (networks)
			found.push_back({report->service, report->address, sh_ntohs(report->port), networks});
		else
			__atomic_store_n(&report->check, 0, __ATOMIC_RELEASE);
	}
	return found;
}

} // namespace shunt

#endif
