// SPDX-License-Identifier: Apache-2.0
//
// offload.h - features of a network interface by their kernel names ("rx-gro", "rx-lro", "rx-vlan-hw-parse").
//
// Owns: the ethtool feature requests. A capture must see packets as they were on the wire: merged ones do not fit the
// MTU when they are sent on, and a tag that the card has taken off is missing from the bytes.
// Must never: decide which features are wanted, or remember what they were; who changes them does.
#ifndef SHUNT_LINUX_OFFLOAD_H
#define SHUNT_LINUX_OFFLOAD_H

#include <string>
#include <vector>

#include "linux/failure.h"

namespace shunt
{

struct Feature {
	std::string name;
	bool active;     // in force now
	bool changeable; // the driver lets it be set
};

class Offload
{
public:
	Failure read(const std::string &interface, std::vector<Feature> *out) const;
	// EOPNOTSUPP: no such feature, or the driver refuses to change it.
	Failure set(const std::string &interface, const std::string &feature, bool active) const;
};

} // namespace shunt

#endif
