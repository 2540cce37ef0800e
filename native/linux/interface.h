// SPDX-License-Identifier: Apache-2.0
//
// interface.h - one network interface as the kernel describes it: index, name, MTU, flags, type, MAC address.
//
// Owns: the RTM_GETLINK request and its answer (<linux/if_link.h>).
// Must never: follow changes: the values are those of the moment of the call.
#ifndef SHUNT_LINUX_INTERFACE_H
#define SHUNT_LINUX_INTERFACE_H

#include <cstdint>
#include <string>

#include "linux/status.h"

namespace shunt
{

class Netlink;

struct Interface {
	uint32_t index = 0;
	std::string name;      // the primary name, also where the interface was found by an alternative one
	uint32_t mtu = 0;      // bytes of an IP packet
	uint32_t flags = 0;    // IFF_*
	uint16_t hardware = 0; // ARPHRD_*: ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE (tun), …
	bool has_mac = false;  // false: no link-layer address, or not one of 6 bytes
	uint8_t mac[6] = {};

	// The frames begin with an Ethernet header. Those of loopback do, with zeros for addresses.
	bool is_ethernet_framed() const;
};

// By name or by index. ENODEV: there is no such interface (a name of 0 or of more than 15 bytes included).
Result<Interface> read_interface(const std::string &name);
Result<Interface> read_interface(uint32_t index);
// The same over a NETLINK_ROUTE socket that is open already.
Result<Interface> read_interface(Netlink *netlink, uint32_t index);

} // namespace shunt

#endif
