// SPDX-License-Identifier: Apache-2.0
//
// same_types.h - do two BPF programs, of two versions perhaps, mean the same by a type?
//
// Owns: the comparison of their BTF. Without it, whoever reads another program's memory would read it wrongly, and not know.
#ifndef SHUNT_KERNEL_SAME_TYPES_H
#define SHUNT_KERNEL_SAME_TYPES_H

struct btf;

namespace shunt
{

// Each member and each enumerator by name, place and size. False too if one of them does not know the type. `kind` is a
// BTF_KIND_*.
bool same_type(const btf *a, const btf *b, const char *name, unsigned kind);

} // namespace shunt

#endif
