// SPDX-License-Identifier: Apache-2.0
//
// tun.h - a network interface of our own, by which packets enter this host's stack.
//
// Owns: opening it. The device is not persistent: it goes, with its addresses, when the last descriptor closes, and so
// when the process dies in whatever way.
// Must never: set it up, or address it.
#ifndef SHUNT_LINUX_TUN_H
#define SHUNT_LINUX_TUN_H

#include <string>

#include "datapath/types.h"
#include "linux/descriptor.h"
#include "linux/failure.h"

namespace shunt
{

struct Tun {
	Descriptor fd; // not blocking; one IP packet without any header per write
	u32 ifindex = 0;
	std::string name;
};

// EBUSY: a device of that name is open elsewhere. With several queues, open the same name again.
Failure open_tun(const std::string &name, bool several_queues, Tun *out);

} // namespace shunt

#endif
