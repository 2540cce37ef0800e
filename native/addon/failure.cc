// SPDX-License-Identifier: Apache-2.0
//
// failure.cc - see the header.
#include "addon/failure.h"

#include <cstring>

namespace shunt
{

Napi::Error error_of(Napi::Env env, const Status &status)
{
	Napi::Error error = Napi::Error::New(env, status.message());

	if (status.code() != 0) {
		const char *name = strerrorname_np(status.code());

		error.Set("code", name ? name : "EUNKNOWN");
		error.Set("errno", (double)status.code());
		error.Set("step", status.step());
	}
	return error;
}

Napi::Value throw_failure(Napi::Env env, const Status &status)
{
	error_of(env, status).ThrowAsJavaScriptException();
	return env.Undefined();
}

} // namespace shunt
