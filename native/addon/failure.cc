// SPDX-License-Identifier: Apache-2.0
//
// failure.cc - see the header.
#include "addon/failure.h"

#include <cstring>
#include <string>

namespace shunt
{

Napi::Error error_of(Napi::Env env, const Failure &failure)
{
	const char *name = strerrorname_np(failure.code);
	Napi::Error error = Napi::Error::New(env, std::string(failure.step) + ": " + strerror(failure.code));

	error.Set("code", name ? name : "EUNKNOWN");
	error.Set("errno", (double)failure.code);
	error.Set("step", failure.step);
	return error;
}

Napi::Value throw_failure(Napi::Env env, const Failure &failure)
{
	error_of(env, failure).ThrowAsJavaScriptException();
	return env.Undefined();
}

} // namespace shunt
