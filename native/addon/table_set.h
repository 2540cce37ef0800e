// SPDX-License-Identifier: Apache-2.0
//
// table_set.h - a TableSet of src/policy/table-set.ts as engine/tables.h takes it.
#ifndef SHUNT_ADDON_TABLE_SET_H
#define SHUNT_ADDON_TABLE_SET_H

#include "addon/fields.h"
#include "engine/tables.h"

namespace shunt
{

// Complaints are left in Fields::problem().
TableSpec read_table_set(const Fields &set);

} // namespace shunt

#endif
