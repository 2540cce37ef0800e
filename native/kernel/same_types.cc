// SPDX-License-Identifier: Apache-2.0
//
// same_types.cc - see the header.
#include "kernel/same_types.h"

#include <cstring>

#include <bpf/btf.h>

namespace shunt
{

namespace
{

constexpr int MAX_DEPTH = 16; // a passage has four levels

struct Side {
	const btf *types;
	const btf_type *type;

	Side(const btf *types, unsigned id) : types(types), type(btf__type_by_id(types, id))
	{
		while (type && (btf_is_mod(type) || btf_is_typedef(type)))
			type = btf__type_by_id(types, type->type);
	}
	const char *name(unsigned offset) const { return btf__name_by_offset(types, offset); }
};

bool same(const Side &a, const Side &b, int depth)
{
	if (!a.type || !b.type || depth > MAX_DEPTH)
		return false;
	unsigned count = btf_vlen(a.type);
	if (btf_kind(a.type) != btf_kind(b.type) || count != btf_vlen(b.type))
		return false;
	if (btf_is_array(a.type)) {
		const struct btf_array *x = btf_array(a.type), *y = btf_array(b.type);

		return x->nelems == y->nelems && same(Side(a.types, x->type), Side(b.types, y->type), depth + 1);
	}
	if (btf_is_ptr(a.type)) // its target is not part of the memory
		return true;
	if (a.type->size != b.type->size)
		return false;
	for (unsigned i = 0; i < count && btf_is_composite(a.type); i++) {
		const btf_member *x = btf_members(a.type) + i, *y = btf_members(b.type) + i;

		if (strcmp(a.name(x->name_off), b.name(y->name_off)) != 0 || x->offset != y->offset ||
		    !same(Side(a.types, x->type), Side(b.types, y->type), depth + 1))
			return false;
	}
	for (unsigned i = 0; i < count && btf_is_enum(a.type); i++) {
		const struct btf_enum *x = btf_enum(a.type) + i, *y = btf_enum(b.type) + i;

		if (strcmp(a.name(x->name_off), b.name(y->name_off)) != 0 || x->val != y->val)
			return false;
	}
	return true;
}

} // namespace

bool same_type(const btf *a, const btf *b, const char *name, unsigned kind)
{
	int x = btf__find_by_name_kind(a, name, kind);
	int y = btf__find_by_name_kind(b, name, kind);

	return x > 0 && y > 0 && same(Side(a, (unsigned)x), Side(b, (unsigned)y), 0);
}

} // namespace shunt
