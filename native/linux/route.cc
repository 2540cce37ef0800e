// SPDX-License-Identifier: Apache-2.0
//
// route.cc - the way to an address, as this host's kernel sees it: route, neighbour, link.
#include "linux/route.h"

#include <cerrno>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <sys/socket.h>

namespace shunt
{

namespace
{

bool is_ipv4(const sh_addr &address)
{
	static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(address.b, mapped, sizeof(mapped)) == 0;
}

u8 family_of(const sh_addr &address)
{
	return is_ipv4(address) ? AF_INET : AF_INET6;
}

const u8 *bytes_of(const sh_addr &address)
{
	return is_ipv4(address) ? address.b + 12 : address.b;
}

size_t length_of(const sh_addr &address)
{
	return is_ipv4(address) ? 4 : 16;
}

// From 4 or 16 bytes; false for any other length.
bool read_address(const unsigned char *data, size_t length, sh_addr *out)
{
	*out = {};
	if (length == 4) {
		out->b[10] = out->b[11] = 0xff;
		memcpy(out->b + 12, data, 4);
	} else if (length == 16) {
		memcpy(out->b, data, 16);
	} else {
		return false;
	}
	return true;
}

bool read_mac(const AttributeCursor &at, u8 *mac)
{
	if (at.length() != 6)
		return false; // not Ethernet: no address, or one of another length
	memcpy(mac, at.data(), 6);
	return true;
}

} // namespace

Failure Route::link(u32 ifindex, bool with_addresses, HostLink *out)
{
	return link(ifindex, nullptr, with_addresses, out);
}

Failure Route::link(const std::string &name, bool with_addresses, HostLink *out)
{
	return link(0, &name, with_addresses, out);
}

Failure Route::link(u32 ifindex, const std::string *name, bool with_addresses, HostLink *out)
{
	NetlinkRequest request(RTM_GETLINK, 0);
	ifinfomsg body = {};

	if (name && (name->empty() || name->size() >= IFNAMSIZ))
		return {"RTM_GETLINK", ENODEV};
	body.ifi_index = static_cast<int>(ifindex);
	request.body(&body, sizeof(body));
	if (name)
		request.attribute(IFLA_IFNAME, name->c_str(), name->size() + 1);
	*out = HostLink();
	Failure failure = netlink_.ask(request, "RTM_GETLINK", [out](const NetlinkMessage &message) {
		ifinfomsg head;

		if (message.type != RTM_NEWLINK || !message.head(&head))
			return;
		out->ifindex = static_cast<u32>(head.ifi_index);
		out->flags = head.ifi_flags;
		out->hardware = head.ifi_type;
		for (AttributeCursor at = message.attributes<ifinfomsg>(); at.next();) {
			if (at.type() == IFLA_IFNAME && at.length() > 0)
				out->name.assign(reinterpret_cast<const char *>(at.data()),
				                 strnlen(reinterpret_cast<const char *>(at.data()), at.length()));
			else if (at.type() == IFLA_MTU)
				at.read(&out->mtu);
			else if (at.type() == IFLA_ADDRESS)
				out->has_mac = read_mac(at, out->mac);
		}
	});
	if (failure)
		return failure;
	if (out->ifindex == 0)
		return {"RTM_GETLINK", ENODEV};
	return with_addresses ? addresses(out->ifindex, &out->addresses) : Failure{};
}

Failure Route::addresses(u32 ifindex, std::vector<HostAddress> *out)
{
	NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
	ifaddrmsg body = {};

	body.ifa_family = AF_UNSPEC;
	body.ifa_index = ifindex;
	request.body(&body, sizeof(body));
	return netlink_.ask(request, "RTM_GETADDR", [out, ifindex](const NetlinkMessage &message) {
		HostAddress address = {};
		bool local = false, any = false;
		ifaddrmsg head;

		if (message.type != RTM_NEWADDR || !message.head(&head) || head.ifa_index != ifindex)
			return;
		address.prefix = head.ifa_prefixlen;
		address.family = head.ifa_family == AF_INET ? SH_IPV4 : SH_IPV6;
		address.scope = head.ifa_scope;
		address.flags = head.ifa_flags;
		for (AttributeCursor at = message.attributes<ifaddrmsg>(); at.next();) {
			// On a point-to-point link IFA_ADDRESS is the other end's, and IFA_LOCAL our own.
			if (at.type() == IFA_LOCAL || (at.type() == IFA_ADDRESS && !local)) {
				local = local || at.type() == IFA_LOCAL;
				any = read_address(at.data(), at.length(), &address.address);
			} else if (at.type() == IFA_FLAGS) {
				at.read(&address.flags);
			}
		}
		if (any && (head.ifa_family == AF_INET || head.ifa_family == AF_INET6))
			out->push_back(address);
	});
}

Failure Route::route(const sh_addr &destination, HostRoute *out)
{
	NetlinkRequest request(RTM_GETROUTE, 0);
	rtmsg body = {};
	HostLink link;
	bool answered = false;

	body.rtm_family = family_of(destination);
	body.rtm_dst_len = is_ipv4(destination) ? 32 : 128;
	request.body(&body, sizeof(body));
	request.attribute(RTA_DST, bytes_of(destination), length_of(destination));
	*out = HostRoute();
	Failure failure = netlink_.ask(request, "RTM_GETROUTE", [out, &answered](const NetlinkMessage &message) {
		rtmsg head;

		if (message.type != RTM_NEWROUTE || !message.head(&head))
			return;
		answered = true;
		out->kind = head.rtm_type;
		for (AttributeCursor at = message.attributes<rtmsg>(); at.next();) {
			if (at.type() == RTA_OIF) {
				at.read(&out->ifindex);
			} else if (at.type() == RTA_GATEWAY) {
				out->has_gateway = read_address(at.data(), at.length(), &out->gateway);
			} else if (at.type() == RTA_VIA && at.length() > 2) {
				// A gateway of the other family (RFC 5549 style): two bytes of family, then the address.
				out->has_gateway = read_address(at.data() + 2, at.length() - 2, &out->gateway);
			} else if (at.type() == RTA_PREFSRC) {
				out->has_source = read_address(at.data(), at.length(), &out->source);
			} else if (at.type() == RTA_METRICS) {
				for (AttributeCursor metric = at.nested(); metric.next();)
					if (metric.type() == RTAX_MTU)
						metric.read(&out->mtu);
			}
		}
	});
	if (failure)
		return failure;
	if (!answered)
		return {"RTM_GETROUTE", EBADMSG};
	if (out->kind == RTN_UNREACHABLE || out->kind == RTN_BLACKHOLE || out->kind == RTN_PROHIBIT || !out->ifindex)
		return {"RTM_GETROUTE", EHOSTUNREACH};
	failure = this->link(out->ifindex, false, &link);
	if (failure)
		return failure;
	out->mtu = out->mtu && out->mtu < link.mtu ? out->mtu : link.mtu;
	out->has_mac = link.has_mac;
	out->hardware = link.hardware;
	memcpy(out->own_mac, link.mac, sizeof(out->own_mac));
	return {};
}

Failure Route::neighbour(u32 ifindex, const sh_addr &address, HostNeighbour *out)
{
	NetlinkRequest request(RTM_GETNEIGH, 0);
	ndmsg body = {};

	body.ndm_family = family_of(address);
	body.ndm_ifindex = static_cast<int>(ifindex);
	request.body(&body, sizeof(body));
	request.attribute(NDA_DST, bytes_of(address), length_of(address));
	*out = HostNeighbour();
	Failure failure = netlink_.ask(request, "RTM_GETNEIGH", [out](const NetlinkMessage &message) {
		ndmsg head;

		if (message.type != RTM_NEWNEIGH || !message.head(&head))
			return;
		out->found = true;
		out->state = head.ndm_state;
		for (AttributeCursor at = message.attributes<ndmsg>(); at.next();)
			if (at.type() == NDA_LLADDR)
				out->has_mac = read_mac(at, out->mac);
	});
	return failure && failure.code == ENOENT ? Failure{} : failure;
}

Failure Route::resolve(u32 ifindex, const sh_addr &address)
{
	NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
	ndmsg body = {};

	body.ndm_family = family_of(address);
	body.ndm_ifindex = static_cast<int>(ifindex);
	body.ndm_state = NUD_NONE;
	body.ndm_flags = NTF_USE; // as if a packet had wanted it
	request.body(&body, sizeof(body));
	request.attribute(NDA_DST, bytes_of(address), length_of(address));
	return netlink_.ask(request, "RTM_NEWNEIGH", [](const NetlinkMessage &) {});
}

} // namespace shunt
