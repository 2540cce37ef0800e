// SPDX-License-Identifier: Apache-2.0
//
// route.h - the way to an address, as this host's kernel sees it: route, neighbour, link.
//
// Owns: the questions to rtnetlink and the reading of its answers. Addresses are 16 bytes, IPv4 in mapped form.
// Must never: wait for ARP or neighbour discovery, or change a route.
#ifndef SHUNT_LINUX_ROUTE_H
#define SHUNT_LINUX_ROUTE_H

#include <string>
#include <vector>

#include "datapath/types.h"
#include "linux/netlink.h"

namespace shunt
{

struct HostAddress {
	sh_addr address;
	u8 prefix; // as the family counts: 0..32 or 0..128
	u8 family; // SH_IPV4, SH_IPV6
	u8 scope;  // RT_SCOPE_*
	u32 flags; // IFA_F_*
};

struct HostLink {
	u32 ifindex = 0;
	std::string name;
	u32 mtu = 0;
	u32 flags = 0;    // IFF_*
	u16 hardware = 0; // ARPHRD_*
	bool has_mac = false;
	u8 mac[6] = {};
	std::vector<HostAddress> addresses;
};

struct HostRoute {
	u8 kind = 0; // RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST...
	u32 ifindex = 0;
	bool has_gateway = false;
	sh_addr gateway = {};
	bool has_source = false;
	sh_addr source = {};
	u32 mtu = 0; // of the route, else of the link
	bool has_mac = false;
	u8 own_mac[6] = {};
	u16 hardware = 0;
};

struct HostNeighbour {
	bool found = false;
	bool has_mac = false;
	u8 mac[6] = {};
	u16 state = 0; // NUD_*
};

class Route
{
public:
	Failure open() { return netlink_.open(); }
	Failure link(u32 ifindex, bool with_addresses, HostLink *out);
	Failure link(const std::string &name, bool with_addresses, HostLink *out);
	// ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL: no way (unreachable, prohibit and blackhole routes included).
	Failure route(const sh_addr &destination, HostRoute *out);
	Failure neighbour(u32 ifindex, const sh_addr &address, HostNeighbour *out);
	// Has the kernel send ARP or a neighbour solicitation, if its entry needs one. Returns at once.
	Failure resolve(u32 ifindex, const sh_addr &address);

private:
	Failure link(u32 ifindex, const std::string *name, bool with_addresses, HostLink *out);
	Failure addresses(u32 ifindex, std::vector<HostAddress> *out);

	Netlink netlink_;
};

} // namespace shunt

#endif
