# SPDX-License-Identifier: Apache-2.0
# The same addon as CMakeLists.txt builds, from the same list of sources, for those who have node-gyp and not cmake.
{
	"includes": ["sources.json"],
	"targets": [
		{
			"target_name": "shunt",
			"sources": ["<@(engine_sources)", "<@(user_sources)", "<@(kernel_sources)", "<@(linux_sources)", "<@(agent_sources)", "<@(addon_sources)"],
			"actions": [
				{
					"action_name": "bpf",
					"inputs": ["native/kernel/bpf/build", "<!@(ls native/kernel/bpf/*.c native/kernel/bpf/*.h native/agent/*.c native/agent/*.h native/datapath/*.h native/datapath/*/*.h)"],
					"outputs": ["<(INTERMEDIATE_DIR)/bpf/shunt.skel.h"],
					"action": ["native/kernel/bpf/build", "<(INTERMEDIATE_DIR)/bpf"]
				}
			],
			"include_dirs": ["native/user/platform", "<(INTERMEDIATE_DIR)/bpf", "<!@(node -p \"require('node-addon-api').include_dir\")"],
			"defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
			"cflags": ["-iquote", "<(module_root_dir)/native", "-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-fvisibility=hidden", "-fno-strict-aliasing"],
			"cflags_cc!": ["-std=gnu++17", "-std=c++17"],
			"cflags_cc": ["-std=gnu++20", "-fno-exceptions", "-fno-rtti"],
			"libraries": ["-lpcap", "-lbpf", "-lmnl", "-lpthread"]
		}
	]
}
