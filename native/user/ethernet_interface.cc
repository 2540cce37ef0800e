// SPDX-License-Identifier: Apache-2.0
//
// ethernet_interface.cc - see the header.
#include "user/ethernet_interface.h"

#include <cerrno>

namespace shunt
{

static Result<Interface> checked(Result<Interface> interface, const std::string &object)
{
	if (!interface.ok()) {
		int error = interface.status().code();

		return error == ENODEV ? Status::error("there is no interface " + object)
		                       : Status::system("the interface " + object + " cannot be read", error);
	}
	if (!interface->is_ethernet_framed())
		return Status::error("interface " + interface->name + ": its frames are not Ethernet");
	return interface;
}

Result<Interface> read_ethernet_interface(const std::string &name)
{
	return checked(read_interface(name), "named " + name);
}

Result<Interface> read_ethernet_interface(u32 ifindex)
{
	return checked(read_interface(ifindex), "with index " + std::to_string(ifindex));
}

} // namespace shunt
