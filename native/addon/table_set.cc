// SPDX-License-Identifier: Apache-2.0
//
// table_set.cc - see the header.
#include "addon/table_set.h"

#include "addon/table_fields.h"

namespace shunt
{

TableSpec read_table_set(const Fields &set)
{
	return read_set(set);
}

} // namespace shunt
