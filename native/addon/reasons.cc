// SPDX-License-Identifier: Apache-2.0
//
// reasons.cc - the table of reasons, for JavaScript.
//
// Owns: the translation of packet/reasons.h into an array of {name, verdict, text}, in the order of their numbers.
// Must never: name a reason itself.
#include "addon/doors.h"
#include "packet/reasons.h"

namespace shunt
{

static const char *verdict_name(unsigned verdict)
{
	switch (verdict) {
	case SH_FORWARD:
		return "forward";
	case SH_RETURN:
		return "return";
	case SH_INDICATE:
		return "indicate";
	case SH_PASS:
		return "pass";
	case SH_CONTROL:
		return "control";
	default:
		return "drop";
	}
}

Napi::Value reasons(Napi::Env env)
{
	Napi::Array list = Napi::Array::New(env, SH_REASON_COUNT);
	uint32_t i = 0;
	auto add = [&](const char *name, unsigned verdict, const char *text) {
		Napi::Object reason = Napi::Object::New(env);
		reason.Set("name", name);
		reason.Set("verdict", verdict_name(verdict));
		reason.Set("text", text);
		list.Set(i++, reason);
	};
#define X(name, verdict, text) add(#name, verdict, text);
	SH_REASONS(X)
#undef X
	return list;
}

} // namespace shunt
