// SPDX-License-Identifier: Apache-2.0
//
// ethtool.h - one SIOCETHTOOL socket for one interface, and the kernel's lists of names.
//
// The kernel writes as many entries as the driver has at that moment, whatever room the caller claims to have. So every
// list is asked for with its count first, and with room to spare for what may be added in between.
//
// Owns: the socket, and the room that answers are written into.
// Must never: decide what a name means.
#ifndef SHUNT_LINUX_ETHTOOL_H
#define SHUNT_LINUX_ETHTOOL_H

#include <cstdint>
#include <string>
#include <vector>

#include "linux/descriptor.h"
#include "linux/failure.h"

namespace shunt
{

class Ethtool
{
public:
	Failure open(const std::string &interface);
	// `data` begins with the command; 64-bit words so that every ethtool structure is aligned.
	Failure ask(std::vector<uint64_t> *data, const char *step);
	// How many names a set (ETH_SS_*) has; 0: the driver has none.
	Failure count(uint32_t set, uint32_t *out);
	Failure names(uint32_t set, std::vector<std::string> *out);
	// ETHTOOL_GSTATS: one value for each name of ETH_SS_STATS.
	Failure statistics(std::vector<uint64_t> *out);

	static std::vector<uint64_t> room(size_t bytes) { return std::vector<uint64_t>((bytes + 7) / 8, 0); }

private:
	Descriptor socket_;
	std::string interface_;
};

} // namespace shunt

#endif
