// SPDX-License-Identifier: Apache-2.0
//
// service_aging.h - what the aging sweep reads of each service.
//
// Owns: how long a session of a service may be idle, and how far ahead its time may have been set.
#ifndef SHUNT_ENGINE_SERVICE_AGING_H
#define SHUNT_ENGINE_SERVICE_AGING_H

#include "engine/table_spec.h"

namespace shunt
{

struct Aging {
	u32 idle_ticks;       // 0: there is no such service
	u32 transitory_ticks; // the same of a session that is not established
	u32 ahead : 31;       // how far a backend's packet, or a client's lease, may set a session's time ahead of now
	u32 counts_sources : 1; // distinct sources are counted, beside records
};

// By service id, 65536 entries.
std::vector<Aging> service_aging(const TableSpec &spec);

} // namespace shunt

#endif
