// SPDX-License-Identifier: Apache-2.0
//
// failure.h - a Status of native/linux as a JavaScript error, and the bindings of native/linux by file.
//
// Owns: the error's properties: `code` is errno's name ("ENODEV"), `errno` the number, `step` the request that failed. Of an
// error without errno there is only `message`.
// Must never: hold logic of a binding.
#ifndef SHUNT_ADDON_FAILURE_H
#define SHUNT_ADDON_FAILURE_H

#include <napi.h>

#include "linux/status.h"

namespace shunt
{

// `status` must not be ok.
Napi::Error error_of(Napi::Env env, const Status &status);
// Throws it in JavaScript; returns undefined.
Napi::Value throw_failure(Napi::Env env, const Status &status);

// host.cc adds them to its own.
Napi::Function link_counters_class(Napi::Env env);                  // host_link.cc
Napi::Function queue_counters_class(Napi::Env env);                 // host_link.cc
Napi::Function icmp_errors_class(Napi::Env env);                    // host_icmp.cc
Napi::Value tcp_sessions_binding(const Napi::CallbackInfo &info);   // host_tcp.cc
Napi::Value mptcp_subflows_binding(const Napi::CallbackInfo &info); // host_mptcp.cc
Napi::Function mptcp_path_manager_class(Napi::Env env);             // host_mptcp.cc
Napi::Value bound_sockets_binding(const Napi::CallbackInfo &info);  // host_sockets.cc

} // namespace shunt

#endif
