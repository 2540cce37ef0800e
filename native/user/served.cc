// SPDX-License-Identifier: Apache-2.0
//
// served.cc - see the header. If bind(2) succeeds, no local socket owns the port.
#include "user/served.h"

#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

#include "linux/descriptor.h"

namespace shunt
{

int is_served(const sh_flow *flow)
{
	bool tcp = flow->protocol == SH_TCP;
	bool ipv4 = flow->family == SH_IPV4;
	Descriptor socket(::socket(ipv4 ? AF_INET : AF_INET6, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
	int fd = socket.get();
	int on = 1;
	int failed;

	if (fd < 0)
		return 1;
	// Established connections, and those in TIME_WAIT, do not accept new ones on their port.
	if (tcp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ipv4) {
		sockaddr_in at = {};

		at.sin_family = AF_INET;
		at.sin_port = flow->destination_port;
		at.sin_addr.s_addr = flow->destination.w[3];
		failed = bind(fd, reinterpret_cast<sockaddr *>(&at), sizeof(at));
	} else {
		sockaddr_in6 at = {};

		at.sin6_family = AF_INET6;
		at.sin6_port = flow->destination_port;
		memcpy(&at.sin6_addr, &flow->destination, 16);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		failed = bind(fd, reinterpret_cast<sockaddr *>(&at), sizeof(at));
	}
	return failed && errno != EADDRNOTAVAIL;
}

} // namespace shunt
