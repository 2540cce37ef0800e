// SPDX-License-Identifier: Apache-2.0
//
// failure.h - a refusal of the kernel (native/linux) as a JavaScript error, and the doors of native/linux by file.
//
// Owns: the form: `code` is errno's name ("ENODEV"), `errno` the number, `step` what was asked.
// Must never: hold logic of a door.
#ifndef SHUNT_ADDON_FAILURE_H
#define SHUNT_ADDON_FAILURE_H

#include <napi.h>

#include "linux/failure.h"

namespace shunt
{

Napi::Error error_of(Napi::Env env, const Failure &failure);
// Throws it in JavaScript; returns undefined.
Napi::Value throw_failure(Napi::Env env, const Failure &failure);

// host.cc puts them beside its own.
Napi::Function link_counters_class(Napi::Env env);             // host_link.cc
Napi::Function queue_counters_class(Napi::Env env);            // host_link.cc
Napi::Value tcp_sessions_door(const Napi::CallbackInfo &info); // host_tcp.cc

} // namespace shunt

#endif
