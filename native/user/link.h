// SPDX-License-Identifier: Apache-2.0
//
// link.h - what a capture or a transmit must know of the interface it opens.
//
// Owns: index, MAC address, MTU and kind, read once.
// Must never: follow changes; an interface that changes its address is opened anew.
#ifndef SHUNT_USER_LINK_H
#define SHUNT_USER_LINK_H

#include <string>

#include "datapath/types.h"

namespace shunt
{

struct Link {
	u32 ifindex;
	u8 mac[6];
	u32 mtu;
	std::string name;
};

// False, with one sentence, when there is no such interface or it does not speak Ethernet.
bool read_link(const std::string &name, Link *link, std::string *problem);
bool read_link(u32 ifindex, Link *link, std::string *problem);

// "what: the system's text for error"
std::string system_problem(const std::string &what, int error);

} // namespace shunt

#endif
