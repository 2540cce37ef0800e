// SPDX-License-Identifier: Apache-2.0
//
// xdp_features.cc - see the header.
#include "linux/xdp_features.h"

#include <cerrno>
#include <linux/genetlink.h>

#include "linux/netlink.h"

namespace shunt
{

// <linux/netdev.h> is newer than some headers we build with.
constexpr u8 NETDEV_DEV_GET = 1;
constexpr u16 NETDEV_DEV_IFINDEX = 1;
constexpr u16 NETDEV_DEV_XDP_FEATURES = 3;

static NetlinkRequest request(u16 family, u8 command)
{
	NetlinkRequest request(family, 0);
	genlmsghdr head = {command, 1, 0};

	request.body(&head, sizeof(head));
	return request;
}

Failure xdp_features(u32 ifindex, u64 *features)
{
	Netlink netlink;
	u16 family = 0;
	bool told = false;

	Failure failure = netlink.open(NETLINK_GENERIC);
	if (failure)
		return failure;
	NetlinkRequest name = request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	name.attribute(CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	failure = netlink.ask(name, "the netlink family netdev", [&](const NetlinkMessage &message) {
		for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();)
			if (at.type() == CTRL_ATTR_FAMILY_ID)
				at.read(&family);
	});
	if (failure)
		return failure;
	NetlinkRequest device = request(family, NETDEV_DEV_GET);
	device.attribute(NETDEV_DEV_IFINDEX, &ifindex, sizeof(ifindex));
	failure = netlink.ask(device, "XDP features", [&](const NetlinkMessage &message) {
		for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();)
			if (at.type() == NETDEV_DEV_XDP_FEATURES)
				told = at.read(features);
	});
	if (!failure && !told)
		return {"XDP features", ENOENT};
	return failure;
}

} // namespace shunt
