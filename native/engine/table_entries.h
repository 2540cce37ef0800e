// SPDX-License-Identifier: Apache-2.0
//
// table_entries.h - the entries of each table, before they are placed into slots: what table_records.h copies, and what is
// computed from the rest of the set.
//
// Owns: the computed members.
// Must never: check the set; engine/table_check.h has.
#ifndef SHUNT_ENGINE_TABLE_ENTRIES_H
#define SHUNT_ENGINE_TABLE_ENTRIES_H

#include "engine/table_records.h"

namespace shunt
{

// The session table's clock ticks a little slower than every millisecond. At most half the clock's range: ages may not wrap.
u32 ticks_of(u32 ms);

// Masks and counts of the tables, and the geometry of sessions, remain 0.
struct sh_control control_entry(const TableSpec &spec);
// Without prefix lengths.
sh_service service_entry(const TableSpec::Service &service);
// Of every service, and of a backend's own addresses, which have the same ids. Where two services listen at one endpoint
// the first has the entry: a packet does not say which of them its sender meant.
std::vector<sh_service> service_entries(const TableSpec &spec);
std::vector<sh_rule> rule_entries(const TableSpec &spec);
std::vector<sh_own> own_entries(const TableSpec &spec);

} // namespace shunt

#endif
