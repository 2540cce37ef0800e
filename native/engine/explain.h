// SPDX-License-Identifier: Apache-2.0
//
// explain.h - what the flow's next packet would meet, and why.
//
// Owns: the answer of `shunt explain`, found by the packet program's own functions over the tables in force.
// Must never: write: not a record, not a counter.
#ifndef SHUNT_ENGINE_EXPLAIN_H
#define SHUNT_ENGINE_EXPLAIN_H

#include "engine/sessions.h"

namespace shunt
{

struct Explanation {
	u8 reason;   // of the flow's next packet, if it is well formed and fits the link
	u32 own;     // SH_OWN_*, or-ed: what the destination address is to this host
	u16 service; // id; 0: none, and no field below is set

	// The session table's answer.
	bool session;
	bool session_expired;
	bool session_proven;
	u8 session_state; // SH_SESSION_STATE
	u16 session_target;
	u32 session_idle_ticks;

	// The redirection database's answer.
	bool denied;      // the rule denies the service to the source
	bool by_rule;     // a rule matched the source; else the service's own redirection
	u8 prefix_length; // of that rule, of the mapped form
	sh_addr prefix;
	u32 redirection;
	u32 row;
	u32 rows;
	u16 chosen; // target; 0: none
	u16 load;   // of `chosen`

	// If the redirection chooses by load: the candidate that lost.
	u16 other; // target, which may be the same one; 0: there was none
	u16 other_load;
	u32 other_row;

	u16 target; // of the next packet; 0: none
};

// `continues`: of TCP, the packet begins no connection.
Explanation explain(const sh_tables *tables, const Sessions &sessions, const sh_flow &flow, u64 now_ns,
                    bool continues = false);

} // namespace shunt

#endif
