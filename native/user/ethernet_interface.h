// SPDX-License-Identifier: Apache-2.0
//
// ethernet_interface.h - the interface that a capture or a transmit opens: it exists, and its frames are Ethernet.
//
// Owns: the sentences for an operator where it is not so.
#ifndef SHUNT_USER_ETHERNET_INTERFACE_H
#define SHUNT_USER_ETHERNET_INTERFACE_H

#include "datapath/types.h"
#include "linux/interface.h"

namespace shunt
{

Result<Interface> read_ethernet_interface(const std::string &name);
Result<Interface> read_ethernet_interface(u32 ifindex);

} // namespace shunt

#endif
