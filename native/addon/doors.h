// SPDX-License-Identifier: Apache-2.0
//
// doors.h - what each file of the addon adds to its exports.
//
// Owns: the list. src/engine/native.ts is the typed description of the same.
// Must never: hold logic.
#ifndef SHUNT_ADDON_DOORS_H
#define SHUNT_ADDON_DOORS_H

#include <memory>
#include <napi.h>

#include "engine/sessions.h"
#include "engine/statistics.h"

namespace shunt
{

Napi::Value reasons(Napi::Env env);                           // reasons.cc: the table of reasons
Napi::Value statistics_layout(Napi::Env env);                 // reasons.cc: where counters stand
Napi::Function engine_class(Napi::Env env);                   // engine.cc
Napi::Value pinned_mode_door(const Napi::CallbackInfo &info); // engine.cc
Napi::Value run_file_door(const Napi::CallbackInfo &info);    // run_file.cc
Napi::Value inject_door(const Napi::CallbackInfo &info);      // inject.cc
Napi::Function capture_class(Napi::Env env);                  // capture.cc
Napi::Function kernel_dump_class(Napi::Env env);              // kernel_dump.cc
Napi::Function agent_class(Napi::Env env);                    // agent.cc
Napi::Value xdp_program_door(const Napi::CallbackInfo &info); // kernel_dump.cc: what holds an interface's XDP hook

Napi::Object host(Napi::Env env); // host.cc

// Used by more than one of them.
Napi::Value statistics_memory(Napi::Env env, const std::shared_ptr<Statistics> &statistics); // reasons.cc

} // namespace shunt

#endif
