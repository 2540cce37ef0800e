// SPDX-License-Identifier: Apache-2.0
//
// same_types.h - whether two BPF programs, perhaps of two versions, have the same layout of a type.
//
// Owns: the comparison of their BTF. Without it, the memory of another version's program could be misread unnoticed.
#ifndef SHUNT_KERNEL_SAME_TYPES_H
#define SHUNT_KERNEL_SAME_TYPES_H

struct btf;

namespace shunt
{

// Compares each member and each enumerator by name, offset and size. False too if either lacks the type. `kind` is a
// BTF_KIND_*.
bool same_type(const btf *a, const btf *b, const char *name, unsigned kind);

} // namespace shunt

#endif
