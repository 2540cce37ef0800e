// SPDX-License-Identifier: Apache-2.0
//
// libbpf_warnings.h - what libbpf prints, kept instead: it names what the kernel refused, where errno is EINVAL only.
//
// Owns: libbpf's printer, one function of the whole process; the text is each thread's own. Nothing reaches standard error.
// Must never: be replaced by another printer: tables are prepared in another thread while calls go on in the first.
#ifndef SHUNT_KERNEL_LIBBPF_WARNINGS_H
#define SHUNT_KERNEL_LIBBPF_WARNINGS_H

#include <string>

namespace shunt
{

// Forgets this thread's earlier warnings.
void begin_libbpf_warnings();
// This thread's since then, the last 64 KiB.
const std::string &libbpf_warnings();

} // namespace shunt

#endif
