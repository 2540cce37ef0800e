// SPDX-License-Identifier: Apache-2.0
//
// addon.cc - the one door between JavaScript and the native rooms.
//
// Owns: the list of exports.
// Must never: do anything per packet. What crosses this door is tables (down) and counters, sessions and
// diagnostics (up).
#include "addon/doors.h"

static Napi::Object start(Napi::Env env, Napi::Object exports)
{
	exports.Set("reasons", shunt::reasons(env));
	return exports;
}

NODE_API_MODULE(shunt, start)
