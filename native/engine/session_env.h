// SPDX-License-Identifier: Apache-2.0
//
// session_env.h - what the packet program's look-ups work with where no packet is under way: in the aging sweep, a listing, an
// explanation.
//
// Owns: which parts of struct sh_env these have.
// Must never: be what packets run with; the pipeline has limits and caches besides.
#ifndef SHUNT_ENGINE_SESSION_ENV_H
#define SHUNT_ENGINE_SESSION_ENV_H

#include "datapath/platform.h"
#include "engine/sessions.h"

namespace shunt
{

// `scratch`: SH_SCRATCH_BYTES, for insertions and choices; NULL: look-ups alone.
inline sh_env session_env(const Sessions &sessions, const sh_tables *tables, u64 *scratch = nullptr, u64 now_ns = 0)
{
	sh_env env = {};

	env.now_ns = now_ns;
	env.tables = tables;
	env.bucket4 = sessions.bucket4();
	env.bucket6 = sessions.bucket6();
	env.fragments = sessions.fragments();
	env.scratch = scratch;
	return env;
}

} // namespace shunt

#endif
