// SPDX-License-Identifier: Apache-2.0
//
// netdev_family.cc - see the header.
#include "linux/netdev_family.h"

#include <cerrno>
#include <linux/genetlink.h>

namespace shunt
{

namespace
{

constexpr const char *STEP = "the netlink family netdev";

NetlinkRequest generic_request(uint16_t family, uint8_t command, uint16_t flags)
{
	NetlinkRequest request(family, flags);
	genlmsghdr head = {command, 1, 0};

	request.family_header(head);
	return request;
}

} // namespace

Status NetdevFamily::open()
{
	if (Status status = netlink_.open(NETLINK_GENERIC); !status.ok())
		return status;
	NetlinkRequest request = generic_request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	request.attribute(CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	Status status = netlink_.ask(request, STEP, [this](const NetlinkMessage &message) {
		for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();)
			if (at.type() == CTRL_ATTR_FAMILY_ID)
				at.read(&family_);
	});
	return status.ok() && family_ == 0 ? Status::system(STEP, ENOENT) : status;
}

NetlinkRequest NetdevFamily::request(uint8_t command, uint16_t flags) const
{
	return generic_request(family_, command, flags);
}

} // namespace shunt
