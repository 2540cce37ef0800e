// SPDX-License-Identifier: Apache-2.0
//
// table_set.h - reads a TableSet of src/policy/table-fields.ts.
//
// Must never: judge a value beyond its type and range; engine/table_check.h does.
#ifndef SHUNT_ADDON_TABLE_SET_H
#define SHUNT_ADDON_TABLE_SET_H

#include "addon/fields.h"
#include "engine/table_spec.h"

namespace shunt
{

// What does not fit is left in Fields::problem().
TableSpec read_table_set(const Fields &set);

} // namespace shunt

#endif
