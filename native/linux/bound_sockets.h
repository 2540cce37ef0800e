// SPDX-License-Identifier: Apache-2.0
//
// bound_sockets.h - the local sockets that receive at given ports, by a dump of NETLINK_SOCK_DIAG (sock_diag(7)): listening
// TCP sockets and bound UDP sockets.
//
// A UDP socket that its program has connected to a client counts as well: some servers have one for each client. There may be
// very many of these, so they are listed only for ports that no unconnected socket has.
//
// Owns: the request, and what is read of each answer.
// Must never: judge whether a socket serves anything, or return a list that an interrupted dump was part of.
#ifndef SHUNT_LINUX_BOUND_SOCKETS_H
#define SHUNT_LINUX_BOUND_SOCKETS_H

#include <cstdint>
#include <vector>

#include "linux/ip_address.h"
#include "linux/status.h"

namespace shunt
{

struct BoundSocket {
	uint8_t protocol;  // IPPROTO_TCP, IPPROTO_UDP
	IpAddress address; // :: or 0.0.0.0: any address of its family
	uint16_t port;     // host order
	bool both;         // an IPv6 socket that receives IPv4 as well
	bool mptcp;        // a TCP socket that accepts MPTCP connections
	bool connected;    // to a client; UDP

	bool operator==(const BoundSocket &other) const
	{
		return protocol == other.protocol && address == other.address && port == other.port &&
		       both == other.both && mptcp == other.mptcp && connected == other.connected;
	}
};

// The sockets of `protocol` at these ports, each different one once. Blocks for the dump. ENOENT: the kernel has no sock_diag
// of this protocol. EAGAIN: changes interrupted four dumps.
Result<std::vector<BoundSocket>> bound_sockets(uint8_t protocol, const std::vector<uint16_t> &ports);

} // namespace shunt

#endif
