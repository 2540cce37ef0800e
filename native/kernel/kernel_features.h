// SPDX-License-Identifier: Apache-2.0
//
// kernel_features.h - what XDP and the host agent need of the kernel, each found by trying it.
//
// Owns: the list of features, the version that brought each (documentation only), and the probes.
// Must never: look at the kernel's version; distributions backport features and leave others out. Nothing is attached.
#ifndef SHUNT_KERNEL_KERNEL_FEATURES_H
#define SHUNT_KERNEL_KERNEL_FEATURES_H

#include <string>
#include <vector>

namespace shunt
{

struct KernelFeature {
	std::string name;  // a noun, to end "this kernel lacks" with
	std::string since; // the release of Linux that brought it
	bool for_xdp, for_agent;
	// True where the probe had no answer too (no privilege, no memory): the load itself then says what is wrong.
	bool present;
};

// Takes a few milliseconds.
std::vector<KernelFeature> kernel_features();

} // namespace shunt

#endif
