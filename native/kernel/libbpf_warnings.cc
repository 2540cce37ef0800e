// SPDX-License-Identifier: Apache-2.0
//
// libbpf_warnings.cc - see the header.
#include "kernel/libbpf_warnings.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include <bpf/libbpf.h>

namespace shunt
{

constexpr size_t MOST_BYTES = 65536;

static thread_local std::string warnings;

static int keep_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text; // the verifier's log comes in one piece

	if (level != LIBBPF_WARN || vasprintf(&text, format, arguments) < 0)
		return 0;
	warnings += text;
	free(text);
	if (warnings.size() > MOST_BYTES)
		warnings.erase(0, warnings.size() - MOST_BYTES);
	return 0;
}

/* Before any call of libbpf: standard error is the daemon's own. */
static const libbpf_print_fn_t replaced = libbpf_set_print(keep_warning);

void begin_libbpf_warnings()
{
	(void)replaced;
	warnings.clear();
}

const std::string &libbpf_warnings()
{
	return warnings;
}

} // namespace shunt
