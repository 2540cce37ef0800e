// SPDX-License-Identifier: Apache-2.0
//
// tun.h - a tun device, by which packets are handed to this host's stack (<linux/if_tun.h>).
//
// Owns: opening it. The device is not persistent: the kernel removes it, with its addresses, when the last descriptor is
// closed, so also when the process is killed.
// Must never: set it up, or assign an address.
#ifndef SHUNT_LINUX_TUN_H
#define SHUNT_LINUX_TUN_H

#include <cstdint>
#include <string>

#include "linux/descriptor.h"
#include "linux/status.h"

namespace shunt
{

struct Tun {
	Descriptor fd; // non-blocking; each write() is one IP packet, without IFF_PI's header
	uint32_t ifindex = 0;
	std::string name;
};

// Creates the device `name`. With `multi_queue` (IFF_MULTI_QUEUE) each further call opens one more queue of it. EBUSY: it is
// open elsewhere; EPERM: CAP_NET_ADMIN is missing; EINVAL: the name is empty, too long, or has "/" or "%".
Result<Tun> open_tun(const std::string &name, bool multi_queue);

} // namespace shunt

#endif
