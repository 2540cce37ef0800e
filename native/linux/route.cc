// SPDX-License-Identifier: Apache-2.0
//
// route.cc - see the header.
#include "linux/route.h"

#include <algorithm>
#include <cerrno>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <sys/socket.h>

namespace shunt
{

namespace
{

std::optional<InterfaceAddress> read_address(const NetlinkMessage &message, uint32_t ifindex)
{
	std::optional<IpAddress> address;
	InterfaceAddress out;
	bool local = false;
	ifaddrmsg head;

	// A kernel without NETLINK_GET_STRICT_CHK sends the addresses of all interfaces.
	if (message.type != RTM_NEWADDR || !message.head(&head) || head.ifa_index != ifindex ||
	    (head.ifa_family != AF_INET && head.ifa_family != AF_INET6))
		return std::nullopt;
	out.prefix = head.ifa_prefixlen;
	out.family = head.ifa_family == AF_INET ? 4 : 6;
	out.scope = head.ifa_scope;
	out.flags = head.ifa_flags;
	for (AttributeCursor at = message.attributes<ifaddrmsg>(); at.next();) {
		// On a point-to-point link IFA_ADDRESS is the peer's address and IFA_LOCAL this host's.
		if (at.type() == IFA_LOCAL || (at.type() == IFA_ADDRESS && !local)) {
			local = local || at.type() == IFA_LOCAL;
			address = IpAddress::from_bytes(at.data(), at.length());
		} else if (at.type() == IFA_FLAGS) {
			at.read(&out.flags);
		}
	}
	if (!address)
		return std::nullopt;
	out.address = *address;
	return out;
}

void read_route(const NetlinkMessage &message, Route *out, uint32_t *ifindex)
{
	for (AttributeCursor at = message.attributes<rtmsg>(); at.next();) {
		if (at.type() == RTA_OIF) {
			at.read(ifindex);
		} else if (at.type() == RTA_GATEWAY) {
			out->gateway = IpAddress::from_bytes(at.data(), at.length());
		} else if (at.type() == RTA_VIA && at.length() > sizeof(rtvia)) {
			// A gateway of the other family (RFC 5549): two bytes of family, then the address.
			out->gateway = IpAddress::from_bytes(at.data() + sizeof(rtvia), at.length() - sizeof(rtvia));
		} else if (at.type() == RTA_PREFSRC) {
			out->source = IpAddress::from_bytes(at.data(), at.length());
		} else if (at.type() == RTA_METRICS) {
			for (AttributeCursor metric = at.nested(); metric.next();)
				if (metric.type() == RTAX_MTU)
					metric.read(&out->mtu);
		}
	}
}

// RTM_GETNEIGH and RTM_NEWNEIGH.
NetlinkRequest neighbour_request(uint16_t type, uint16_t netlink_flags, uint32_t ifindex, const IpAddress &address,
                                 uint8_t flags)
{
	NetlinkRequest request(type, netlink_flags);
	ndmsg head = {};

	head.ndm_family = address.family();
	head.ndm_ifindex = static_cast<int>(ifindex);
	head.ndm_state = NUD_NONE;
	head.ndm_flags = flags;
	request.family_header(head);
	request.attribute(NDA_DST, address.data(), address.size());
	return request;
}

} // namespace

Result<std::vector<InterfaceAddress>> RouteSocket::addresses(uint32_t ifindex)
{
	NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
	std::vector<InterfaceAddress> out;
	ifaddrmsg head = {};

	head.ifa_family = AF_UNSPEC;
	head.ifa_index = ifindex;
	request.family_header(head);
	Status status = netlink_.ask(request, "RTM_GETADDR", [&out, ifindex](const NetlinkMessage &message) {
		if (std::optional<InterfaceAddress> address = read_address(message, ifindex))
			out.push_back(*address);
	});
	if (!status.ok())
		return status;
	return out;
}

Result<Route> RouteSocket::route(const IpAddress &destination)
{
	constexpr const char *STEP = "RTM_GETROUTE";
	NetlinkRequest request(RTM_GETROUTE, 0);
	bool answered = false;
	uint32_t ifindex = 0;
	rtmsg head = {};
	Route out;

	head.rtm_family = destination.family();
	head.rtm_dst_len = static_cast<uint8_t>(destination.size() * 8);
	request.family_header(head);
	request.attribute(RTA_DST, destination.data(), destination.size());
	Status status = netlink_.ask(request, STEP, [&](const NetlinkMessage &message) {
		rtmsg head;

		if (message.type != RTM_NEWROUTE || !message.head(&head))
			return;
		answered = true;
		out.kind = head.rtm_type;
		read_route(message, &out, &ifindex);
	});
	if (!status.ok())
		return status;
	if (!answered)
		return Status::system(STEP, EBADMSG);
	if (out.kind == RTN_UNREACHABLE || out.kind == RTN_BLACKHOLE || out.kind == RTN_PROHIBIT || !ifindex)
		return Status::system(STEP, EHOSTUNREACH);
	Result<Interface> interface = read_interface(&netlink_, ifindex);
	if (!interface.ok())
		return interface.status();
	out.mtu = out.mtu ? std::min(out.mtu, interface->mtu) : interface->mtu;
	out.interface = interface.take();
	return out;
}

Result<std::optional<Neighbour>> RouteSocket::neighbour(uint32_t ifindex, const IpAddress &address)
{
	NetlinkRequest request = neighbour_request(RTM_GETNEIGH, 0, ifindex, address, 0);
	std::optional<Neighbour> out;
	Status status = netlink_.ask(request, "RTM_GETNEIGH", [&out](const NetlinkMessage &message) {
		ndmsg head;

		if (message.type != RTM_NEWNEIGH || !message.head(&head))
			return;
		out.emplace().state = head.ndm_state;
		for (AttributeCursor at = message.attributes<ndmsg>(); at.next();)
			if (at.type() == NDA_LLADDR)
				out->has_mac = at.length() == sizeof(out->mac) && at.read(&out->mac);
	});

	if (!status.ok() && status.code() != ENOENT)
		return status;
	return out;
}

Status RouteSocket::resolve(uint32_t ifindex, const IpAddress &address)
{
	NetlinkRequest request = neighbour_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, ifindex, address, NTF_USE);

	return netlink_.ask(request, "RTM_NEWNEIGH", [](const NetlinkMessage &) {});
}

} // namespace shunt
