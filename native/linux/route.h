// SPDX-License-Identifier: Apache-2.0
//
// route.h - routes, neighbours and interface addresses, from rtnetlink(7).
//
// Owns: the requests and the reading of the answers.
// Must never: wait for ARP or neighbour discovery, or change a route.
#ifndef SHUNT_LINUX_ROUTE_H
#define SHUNT_LINUX_ROUTE_H

#include <cstdint>
#include <optional>
#include <vector>

#include "linux/interface.h"
#include "linux/ip_address.h"
#include "linux/netlink.h"
#include "linux/status.h"

namespace shunt
{

struct InterfaceAddress {
	IpAddress address;
	uint8_t prefix = 0; // as the family counts: 0..32 or 0..128
	uint8_t family = 0; // 4, 6
	uint8_t scope = 0;  // RT_SCOPE_*
	uint32_t flags = 0; // IFA_F_*
};

struct Route {
	uint8_t kind = 0;                 // RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, …
	uint32_t mtu = 0;                 // bytes; the smaller one of the route's and the interface's
	std::optional<IpAddress> gateway; // of either family (RTA_GATEWAY, RTA_VIA); none: on-link
	std::optional<IpAddress> source;  // RTA_PREFSRC
	Interface interface;              // by which the packet leaves (RTA_OIF)
};

struct Neighbour {
	uint16_t state = 0; // NUD_*
	bool has_mac = false;
	uint8_t mac[6] = {};
};

class RouteSocket
{
public:
	Status open() { return netlink_.open(); }
	Result<std::vector<InterfaceAddress>> addresses(uint32_t ifindex);
	// The route that a packet to `destination` takes. ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL: there is none (routes of
	// type unreachable, prohibit and blackhole included).
	Result<Route> route(const IpAddress &destination);
	// None: the kernel has no entry.
	Result<std::optional<Neighbour>> neighbour(uint32_t ifindex, const IpAddress &address);
	// Has the kernel send ARP or a neighbour solicitation, if its entry needs one (NTF_USE). Returns at once.
	Status resolve(uint32_t ifindex, const IpAddress &address);

private:
	Netlink netlink_;
};

} // namespace shunt

#endif
