// SPDX-License-Identifier: Apache-2.0
//
// ethtool.h - SIOCETHTOOL requests for one interface, and the driver's string sets (<linux/ethtool.h>).
//
// The kernel writes as many entries as the driver has at that moment, whatever room the caller claims. So every list is
// preceded by a request for its count, and gets spare room for entries that are added in between.
//
// Owns: the socket, and the buffers for answers.
// Must never: interpret a name.
#ifndef SHUNT_LINUX_ETHTOOL_H
#define SHUNT_LINUX_ETHTOOL_H

#include <cstdint>
#include <string>
#include <vector>

#include "linux/descriptor.h"
#include "linux/status.h"

namespace shunt
{

class Ethtool
{
public:
	// ENODEV: the name cannot be an interface's. That there is such an interface shows at the first request.
	Status open(const std::string &interface);
	// Executes the command at the beginning of `data`, which the answer overwrites. 64-bit words align every structure.
	Status request(std::vector<uint64_t> *data, const char *step);
	// The number of strings in a set (ETH_SS_*); 0: the driver has none.
	Result<uint32_t> count(uint32_t set);
	Result<std::vector<std::string>> names(uint32_t set);
	// ETHTOOL_GSTATS: one value for each name of ETH_SS_STATS.
	Result<std::vector<uint64_t>> statistics();

	// A zeroed buffer of at least so many bytes.
	static std::vector<uint64_t> buffer(size_t bytes) { return std::vector<uint64_t>((bytes + 7) / 8, 0); }

private:
	Descriptor socket_;
	std::string interface_;
};

} // namespace shunt

#endif
