// SPDX-License-Identifier: Apache-2.0
//
// sessions.h (addon) - filters, rows and counts of the session table, between C++ and JavaScript.
//
// Owns: their translation.
// Must never: walk the table; engine/sessions.h does.
#ifndef SHUNT_ADDON_SESSIONS_H
#define SHUNT_ADDON_SESSIONS_H

#include "addon/fields.h"
#include "engine/sessions.h"

namespace shunt
{

// Of a TCP session, by SH_SESSION_STATE: half-open, established or closing.
const char *session_state(u8 flags);
double ticks_to_ms(u32 ticks);
SessionFilter read_filter(const Fields &f);
Napi::Object session_row(Napi::Env env, const SessionRow &row);
Napi::Object session_counts(Napi::Env env, const SessionCounts &counts);

} // namespace shunt

#endif
