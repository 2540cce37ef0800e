// SPDX-License-Identifier: Apache-2.0
//
// program.cc - the packet program, compiled for user space.
//
// Owns: nothing but the loop around it.
// Must never: look into a packet itself.
#include "engine/program.h"

#include "packet/program.h"
#include "packet/sent.h"

namespace shunt
{

void run_program(const sh_env &env, sh_frame *frames, Result *results, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (i + 4 < count)
			__builtin_prefetch(frames[i + 4].data);
		sh_result r = sh_run(&env, &frames[i]);
		results[i] = Result{r.reason, r.popped != 0, r.target, r.ifindex};
	}
}

Sent run_sent(const sh_env &env, const sh_frame &frame)
{
	sh_work *work = reinterpret_cast<sh_work *>(env.scratch);

	switch (sh_sent(&env, &frame, &work->passage.parsed, &work->key)) {
	case SH_SENT_RENEWED:
		return Sent::renewed;
	case SH_SENT_MADE:
		return Sent::made;
	default:
		return Sent::nothing;
	}
}

} // namespace shunt
