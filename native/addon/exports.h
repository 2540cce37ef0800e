// SPDX-License-Identifier: Apache-2.0
//
// exports.h - the exports of the addon, by the file that defines them.
//
// Owns: the list. src/engine/native.ts is its typed description.
// Must never: hold logic.
#ifndef SHUNT_ADDON_EXPORTS_H
#define SHUNT_ADDON_EXPORTS_H

#include <memory>
#include <napi.h>

#include "engine/sessions.h"
#include "engine/statistics.h"

namespace shunt
{

Napi::Value reasons(Napi::Env env);                                  // reasons.cc: the table of reasons
Napi::Value statistics_layout(Napi::Env env);                        // reasons.cc: offsets of the counters
Napi::Function engine_class(Napi::Env env);                          // engine.cc
Napi::Value pinned_mode_binding(const Napi::CallbackInfo &info);     // engine.cc
Napi::Value run_file_binding(const Napi::CallbackInfo &info);        // run_file.cc
Napi::Value inject_binding(const Napi::CallbackInfo &info);          // inject.cc
Napi::Function capture_class(Napi::Env env);                         // capture.cc
Napi::Function kernel_dump_class(Napi::Env env);                     // kernel_dump.cc
Napi::Value kernel_features_binding(const Napi::CallbackInfo &info); // kernel_features.cc
Napi::Function agent_class(Napi::Env env);                           // agent.cc
Napi::Value
xdp_program_binding(const Napi::CallbackInfo &info); // kernel_dump.cc: the program on an interface's XDP hook

Napi::Object host(Napi::Env env); // host.cc

// Used by more than one of them.
Napi::Value statistics_memory(Napi::Env env, const std::shared_ptr<Statistics> &statistics); // reasons.cc

} // namespace shunt

#endif
