// SPDX-License-Identifier: Apache-2.0
//
// bound_sockets.cc - see the header.
#include "linux/bound_sockets.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "linux/netlink.h"
#include "linux/tcp_sessions.h"

namespace shunt
{

namespace
{

constexpr const char *STEP = "NETLINK_SOCK_DIAG of bound sockets";
// A UDP socket is in one of two states: TCP_CLOSE, and TCP_ESTABLISHED once it is connected.
constexpr uint32_t CONNECTED = 1U << TCP_ESTABLISHED;

// The kernel names a socket's upper layer protocol; that of a subflow is "mptcp".
bool is_mptcp(const NetlinkMessage &message)
{
	constexpr char name[] = "mptcp";

	for (AttributeCursor at = message.attributes<inet_diag_msg>(); at.next();) {
		if (at.type() != INET_DIAG_ULP_INFO)
			continue;
		for (AttributeCursor part = at.nested(); part.next();)
			if (part.type() == INET_ULP_INFO_NAME)
				return part.length() >= sizeof(name) && memcmp(part.data(), name, sizeof(name)) == 0;
	}
	return false;
}

// False: the message is too short. A message of another type adds nothing.
bool add(const NetlinkMessage &message, uint8_t protocol, std::vector<BoundSocket> *found)
{
	inet_diag_msg socket;
	BoundSocket out = {protocol, {}, 0, false, false, false};

	if (message.type != SOCK_DIAG_BY_FAMILY)
		return true;
	if (!message.head(&socket))
		return false;
	if (socket.idiag_family == AF_INET) {
		out.address = *IpAddress::from_bytes(socket.id.idiag_src, 4);
	} else if (socket.idiag_family == AF_INET6) {
		uint8_t only = 1; // a connected socket has no such attribute, and needs none

		memcpy(out.address.bytes.data(), socket.id.idiag_src, sizeof(out.address));
		for (AttributeCursor at = message.attributes<inet_diag_msg>(); at.next();)
			if (at.type() == INET_DIAG_SKV6ONLY)
				at.read(&only);
		out.both = only == 0;
	} else {
		return true;
	}
	out.connected = socket.idiag_state == TCP_ESTABLISHED;
	out.port = ntohs(socket.id.idiag_sport);
	out.mptcp = protocol == IPPROTO_TCP && is_mptcp(message);
	if (std::find(found->begin(), found->end(), out) == found->end())
		found->push_back(out);
	return true;
}

Status dump(Netlink *netlink, uint8_t protocol, uint8_t family, uint32_t states, const std::vector<uint16_t> &ports,
            std::vector<BoundSocket> *found)
{
	std::vector<TcpEndpoint> endpoints;
	std::vector<unsigned char> code;
	inet_diag_req_v2 head = {};
	const std::vector<BoundSocket> before = *found;
	bool complete = true;

	for (uint16_t port : ports)
		endpoints.push_back({{}, port});
	if (!tcp_session_filter(endpoints, family, &code))
		return {};
	head.sdiag_family = family;
	head.sdiag_protocol = protocol;
	head.idiag_states = states;
	NetlinkRequest request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, 256 + code.size());
	request.family_header(head);
	request.attribute(INET_DIAG_REQ_BYTECODE, code.data(), code.size());
	Status status = netlink->stream(
		request, STEP,
		[&] {
			*found = before;
			complete = true;
		},
		[&](const NetlinkMessage &message) { complete = add(message, protocol, found) && complete; });
	return status.ok() && !complete ? Status::system(STEP, EBADMSG) : status;
}

} // namespace

Result<std::vector<BoundSocket>> bound_sockets(uint8_t protocol, const std::vector<uint16_t> &ports)
{
	std::vector<BoundSocket> found;
	Netlink netlink;

	if (ports.empty())
		return found;
	if (Status status = netlink.open(NETLINK_SOCK_DIAG); !status.ok())
		return status;
	uint32_t first = protocol == IPPROTO_TCP ? 1U << TCP_LISTEN : 1U << TCP_CLOSE;
	for (uint8_t family : {AF_INET, AF_INET6})
		if (Status status = dump(&netlink, protocol, family, first, ports, &found); !status.ok())
			return status;
	if (protocol == IPPROTO_TCP)
		return found;
	std::vector<uint16_t> rest;
	for (uint16_t port : ports)
		if (std::none_of(found.begin(), found.end(), [&](const BoundSocket &one) { return one.port == port; }))
			rest.push_back(port);
	for (uint8_t family : {AF_INET, AF_INET6})
		if (Status status = dump(&netlink, protocol, family, CONNECTED, rest, &found); !status.ok())
			return status;
	return found;
}

} // namespace shunt
