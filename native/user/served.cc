// SPDX-License-Identifier: Apache-2.0
//
// served.cc - see the header. If bind(2) succeeds, no local socket owns the port.
#include "user/served.h"

#include <cerrno>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "linux/descriptor.h"
#include "linux/netlink.h"

namespace shunt
{

// A listening socket is no connection. Where the kernel does not tell, there may be one.
static int is_connected(const sh_flow *flow)
{
	bool ipv4 = flow->family == SH_IPV4;
	NetlinkRequest request(SOCK_DIAG_BY_FAMILY, 0);
	inet_diag_req_v2 head = {};
	int state = TCP_LISTEN;
	Netlink netlink;

	head.sdiag_family = ipv4 ? AF_INET : AF_INET6;
	head.sdiag_protocol = IPPROTO_TCP;
	head.idiag_states = ~0u;
	head.id.idiag_sport = flow->destination_port;
	head.id.idiag_dport = flow->source_port;
	memcpy(head.id.idiag_src, ipv4 ? flow->destination.b + 12 : flow->destination.b, ipv4 ? 4 : 16);
	memcpy(head.id.idiag_dst, ipv4 ? flow->source.b + 12 : flow->source.b, ipv4 ? 4 : 16);
	head.id.idiag_cookie[0] = head.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	request.family_header(head);
	if (!netlink.open(NETLINK_SOCK_DIAG).ok())
		return 1;
	Status status = netlink.ask(request, "NETLINK_SOCK_DIAG", [&state](const NetlinkMessage &message) {
		inet_diag_msg socket;

		if (message.head(&socket))
			state = socket.idiag_state;
	});
	if (!status.ok())
		return status.code() != ENOENT;
	return state != TCP_LISTEN;
}

static int is_bound(const sh_flow *flow)
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

int is_served(const sh_flow *flow, int connected)
{
	return connected ? is_connected(flow) : is_bound(flow);
}

} // namespace shunt
