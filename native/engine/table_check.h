// SPDX-License-Identifier: Apache-2.0
//
// table_check.h - whether a set of tables can be built: references resolve, keys are unique, values are in range.
//
// Owns: every rule that the packet program relies on without checking it.
// Must never: change the set.
#ifndef SHUNT_ENGINE_TABLE_CHECK_H
#define SHUNT_ENGINE_TABLE_CHECK_H

#include "engine/table_spec.h"
#include "linux/status.h"

namespace shunt
{

// Names the first entry that breaks a rule: "services[3] has id 0, …".
Status check_tables(const TableSpec &spec);

} // namespace shunt

#endif
