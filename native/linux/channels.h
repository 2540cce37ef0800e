// SPDX-License-Identifier: Apache-2.0
//
// channels.h - the queues of a network interface, and its driver (ETHTOOL_GCHANNELS, ETHTOOL_GDRVINFO).
//
// Owns: the two queries. Must never: decide how many queues are enough.
#ifndef SHUNT_LINUX_CHANNELS_H
#define SHUNT_LINUX_CHANNELS_H

#include <cstdint>
#include <string>

#include "linux/status.h"

namespace shunt
{

struct Channels {
	std::string driver;
	uint32_t combined; // queue pairs in use
	uint32_t most;     // queue pairs that the device has
};

// ENODEV: there is no such interface. EOPNOTSUPP: its driver has no combined queues.
Result<Channels> read_channels(const std::string &interface);

} // namespace shunt

#endif
