// SPDX-License-Identifier: Apache-2.0
//
// addon.cc - the bindings between JavaScript and the native code.
//
// Owns: the list of exports.
// Must never: do anything per packet. Tables go down; counters, sessions and diagnostics come up.
#include "addon/exports.h"

static Napi::Object start(Napi::Env env, Napi::Object exports)
{
	exports.Set("reasons", shunt::reasons(env));
	exports.Set("statisticsLayout", shunt::statistics_layout(env));
	exports.Set("host", shunt::host(env));
	exports.Set("Engine", shunt::engine_class(env));
	exports.Set("pinnedMode", Napi::Function::New(env, shunt::pinned_mode_binding, "pinnedMode"));
	exports.Set("CaptureStream", shunt::capture_class(env));
	exports.Set("KernelDump", shunt::kernel_dump_class(env));
	exports.Set("AgentPrograms", shunt::agent_class(env));
	exports.Set("xdpProgram", Napi::Function::New(env, shunt::xdp_program_binding, "xdpProgram"));
	exports.Set("kernelFeatures", Napi::Function::New(env, shunt::kernel_features_binding, "kernelFeatures"));
	exports.Set("runFile", Napi::Function::New(env, shunt::run_file_binding, "runFile"));
	exports.Set("inject", Napi::Function::New(env, shunt::inject_binding, "inject"));
	return exports;
}

NODE_API_MODULE(shunt, start)
