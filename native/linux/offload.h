// SPDX-License-Identifier: Apache-2.0
//
// offload.h - features of a network interface by their kernel names ("rx-gro", "rx-lro", "rx-vlan-hw-parse").
//
// Owns: ETHTOOL_GFEATURES and ETHTOOL_SFEATURES. A capture must see packets as they were on the wire: merged ones exceed
// the MTU when they are forwarded, and a VLAN tag that the card has stripped is missing from the bytes.
// Must never: decide which features are needed, or remember earlier values; the caller does.
#ifndef SHUNT_LINUX_OFFLOAD_H
#define SHUNT_LINUX_OFFLOAD_H

#include <string>
#include <vector>

#include "linux/status.h"

namespace shunt
{

struct Feature {
	std::string name;
	bool active;     // in force now
	bool changeable; // the driver allows it to be changed
};

// ENODEV: there is no such interface. EOPNOTSUPP: its driver has no features.
Result<std::vector<Feature>> read_features(const std::string &interface);
// EOPNOTSUPP: there is no such feature, it is fixed, or the driver did not apply the change. EPERM: needs CAP_NET_ADMIN.
// Success without a system call that changes anything if the feature has this value already.
Status set_feature(const std::string &interface, const std::string &feature, bool active);

} // namespace shunt

#endif
