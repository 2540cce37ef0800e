// SPDX-License-Identifier: Apache-2.0
//
// hooks.cc - see the header.
#include "agent/hooks.h"

#include <cerrno>
#include <net/if.h>
#include <net/if_arp.h>

#include "kernel/tc_filter.h"
#include "linux/interface.h"

namespace shunt
{

namespace
{

// Behind the filter that observes a backend's egress packets (kernel/sent_filter.cc).
constexpr TcSlot EGRESS = {TcDirection::egress, 11, 0x53484100, "shunt_out"};
constexpr TcSlot INGRESS = {TcDirection::ingress, 11, 0x53484100, "shunt_in"};

} // namespace

Status attach_agent(const std::string &name, int egress_fd, int ingress_fd)
{
	Result<Interface> interface = read_interface(name);

	if (!interface.ok())
		return interface.status().code() == ENODEV ? Status::error("there is no interface " + name)
		                                           : interface.status();
	// The programs parse an Ethernet header in front of IP.
	if (interface->hardware != ARPHRD_ETHER)
		return Status::error("interface " + name + " is not an Ethernet interface");
	// Ingress first: answers must be rewritten before the first packet is redirected.
	Status status = tc_attach(name, interface->index, {{&INGRESS, ingress_fd}, {&EGRESS, egress_fd}});
	if (!status.ok())
		detach_agent(name);
	return status;
}

bool detach_agent(const std::string &name)
{
	return tc_detach(if_nametoindex(name.c_str()), {&EGRESS, &INGRESS});
}

} // namespace shunt
