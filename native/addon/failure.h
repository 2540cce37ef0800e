// SPDX-License-Identifier: Apache-2.0
//
// failure.h - a failed Status as a JavaScript error, and the functions of native/linux by file.
//
// Owns: the form. The message is the Status's own; where the kernel refused, `code` is errno's name ("ENODEV"), `errno` its
// number and `step` what was requested.
// Must never: hold logic of a function.
#ifndef SHUNT_ADDON_FAILURE_H
#define SHUNT_ADDON_FAILURE_H

#include <napi.h>

#include "linux/failure.h"
#include "linux/status.h"

namespace shunt
{

Napi::Error error_of(Napi::Env env, const Status &status);
// Throws it in JavaScript; returns undefined.
Napi::Value throw_failure(Napi::Env env, const Status &status);

inline Napi::Error error_of(Napi::Env env, const Failure &failure)
{
	return error_of(env, Status::system(failure.step, failure.code));
}
inline Napi::Value throw_failure(Napi::Env env, const Failure &failure)
{
	return throw_failure(env, Status::system(failure.step, failure.code));
}

// host.cc exports them beside its own.
Napi::Function link_counters_class(Napi::Env env);             // host_link.cc
Napi::Function queue_counters_class(Napi::Env env);            // host_link.cc
Napi::Value tcp_sessions_door(const Napi::CallbackInfo &info); // host_tcp.cc

} // namespace shunt

#endif
