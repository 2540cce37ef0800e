// SPDX-License-Identifier: Apache-2.0
//
// explanation.cc - see the header.
#include "addon/explanation.h"

#include "addon/sessions.h"
#include "datapath/reasons.h"

namespace shunt
{

namespace
{

Napi::Value address_buffer(Napi::Env env, const sh_addr &address)
{
	return Napi::Buffer<u8>::Copy(env, address.b, sizeof(address.b));
}

Napi::Object choice_object(Napi::Env env, const Explanation &e)
{
	Napi::Object choice = Napi::Object::New(env);

	choice.Set("redirection", e.redirection);
	choice.Set("row", e.row);
	choice.Set("rows", e.rows);
	choice.Set("target", e.chosen);
	choice.Set("load", e.load);
	choice.Set("denied", e.denied);
	if (e.other) {
		Napi::Object other = Napi::Object::New(env);

		other.Set("row", e.other_row);
		other.Set("target", e.other);
		other.Set("load", e.other_load);
		choice.Set("other", other);
	}
	if (e.by_rule) {
		choice.Set("prefix", address_buffer(env, e.prefix));
		choice.Set("prefixLength", e.prefix_length);
	}
	return choice;
}

} // namespace

Napi::Value explanation_object(Napi::Env env, const Explanation &e)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("reason", e.reason);
	result.Set("own", e.own);
	result.Set("service", e.service);
	result.Set("target", e.target);
	if (e.session) {
		Napi::Object session = Napi::Object::New(env);

		session.Set("target", e.session_target);
		session.Set("idleMs", ticks_to_ms(e.session_idle_ticks));
		session.Set("expired", e.session_expired);
		session.Set("proven", e.session_proven);
		session.Set("state", session_state(e.session_state));
		result.Set("session", session);
	}
	if (e.service && e.reason != SH_R_direct)
		result.Set("choice", choice_object(env, e));
	return result;
}

} // namespace shunt
