// SPDX-License-Identifier: Apache-2.0
//
// kernel_features.cc - kernelFeatures() of the addon.
//
// Owns: the translation of kernel/kernel_features.h.
#include "kernel/kernel_features.h"
#include "addon/exports.h"

namespace shunt
{

Napi::Value kernel_features_binding(const Napi::CallbackInfo &info)
{
	std::vector<KernelFeature> features = kernel_features();
	Napi::Array list = Napi::Array::New(info.Env(), features.size());

	for (uint32_t i = 0; i < features.size(); i++) {
		Napi::Object feature = Napi::Object::New(info.Env());

		feature.Set("name", features[i].name);
		feature.Set("since", features[i].since);
		feature.Set("forXdp", features[i].for_xdp);
		feature.Set("forAgent", features[i].for_agent);
		feature.Set("present", features[i].present);
		list.Set(i, feature);
	}
	return list;
}

} // namespace shunt
