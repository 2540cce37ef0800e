// SPDX-License-Identifier: Apache-2.0
//
// program.cc - the packet program, compiled for user space.
//
// Owns: nothing but the loop around it.
// Must never: look into a packet itself.
#include "user/program.h"

#include <cstring>

#include "datapath/egress.h"
#include "datapath/program.h"

namespace shunt
{

void run_program(const sh_env &env, sh_frame *frames, ProgramResult *results, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (i + 4 < count)
			__builtin_prefetch(frames[i + 4].data);
		sh_result r = sh_run(&env, &frames[i]);
		results[i] = ProgramResult{r.reason, r.popped != 0, r.target, r.ifindex};
	}
}

u8 run_fragment(const sh_env &env, sh_frame *fragment, u16 target)
{
	return sh_forward_fragment(&env, fragment, reinterpret_cast<sh_work *>(env.scratch), target);
}

Sent run_sent(const sh_env &env, const sh_frame &frame, bool *signal)
{
	sh_work *work = reinterpret_cast<sh_work *>(env.scratch);

	u32 outcome = sh_egress(&env, &frame, work);

	*signal = outcome & SH_EGRESS_REDIRECT;
	switch (outcome & ~(u32)SH_EGRESS_REDIRECT) {
	case SH_EGRESS_RENEWED:
		return Sent::renewed;
	case SH_EGRESS_INSERTED:
		return Sent::made;
	default:
		return Sent::nothing;
	}
}

u32 write_signal(const sh_env &env, const sh_frame &reply, u8 *out)
{
	sh_work *work = reinterpret_cast<sh_work *>(env.scratch);
	const sh_parsed *p = &work->passage.parsed;

	if (p->l3 > SIGNAL_BYTES - sizeof(sh_control6) - SH_CONTROL_BYTES)
		return 0;
	sh_control_compose(&env, &work->reply, &work->header, &p->flow, 1);
	u32 length = sh_control_bytes(p, &work->reply);
	if (length > work->request_length)
		return 0;
	sh_frame frame = {out, out + p->l3 + length, out};
	std::memcpy(out, reply.data, p->l3); // the reply's link header
	return sh_control_write(&frame, p, &work->reply, (u32)sizeof(sh_udp) + work->reply.length,
	                        sh_control_sum(&work->reply))
	               ? 0
	               : p->l3 + length;
}

} // namespace shunt
