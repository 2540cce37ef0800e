// SPDX-License-Identifier: Apache-2.0
//
// interface.cc - see the header.
#include "linux/interface.h"

#include <cerrno>
#include <cstring>
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>

#include "linux/netlink.h"

namespace shunt
{

namespace
{

constexpr const char *STEP = "RTM_GETLINK";

void read_answer(const NetlinkMessage &message, Interface *out)
{
	ifinfomsg head;

	if (message.type != RTM_NEWLINK || !message.head(&head))
		return;
	out->index = static_cast<uint32_t>(head.ifi_index);
	out->flags = head.ifi_flags;
	out->hardware = head.ifi_type;
	for (AttributeCursor at = message.attributes<ifinfomsg>(); at.next();) {
		if (at.type() == IFLA_IFNAME && at.length() > 0) {
			const char *name = reinterpret_cast<const char *>(at.data());

			out->name.assign(name, strnlen(name, at.length()));
		} else if (at.type() == IFLA_MTU) {
			at.read(&out->mtu);
		} else if (at.type() == IFLA_ADDRESS) {
			out->has_mac = at.length() == sizeof(out->mac) && at.read(&out->mac);
		}
	}
}

Result<Interface> read(Netlink *netlink, uint32_t index, const std::string *name)
{
	NetlinkRequest request(RTM_GETLINK, 0);
	ifinfomsg body = {};
	Interface out;

	body.ifi_index = static_cast<int>(index);
	request.family_header(body);
	if (name)
		request.attribute(IFLA_IFNAME, name->c_str(), name->size() + 1);
	Status status =
		netlink->ask(request, STEP, [&out](const NetlinkMessage &message) { read_answer(message, &out); });
	if (!status.ok())
		return status;
	if (out.index == 0)
		return Status::system(STEP, ENODEV);
	return out;
}

} // namespace

bool Interface::is_ethernet_framed() const
{
	return hardware == ARPHRD_ETHER || hardware == ARPHRD_LOOPBACK;
}

Result<Interface> read_interface(const std::string &name)
{
	Netlink netlink;

	if (name.empty() || name.size() >= IFNAMSIZ)
		return Status::system(STEP, ENODEV);
	if (Status status = netlink.open(); !status.ok())
		return status;
	return read(&netlink, 0, &name);
}

Result<Interface> read_interface(uint32_t index)
{
	Netlink netlink;

	if (Status status = netlink.open(); !status.ok())
		return status;
	return read(&netlink, index, nullptr);
}

Result<Interface> read_interface(Netlink *netlink, uint32_t index)
{
	return read(netlink, index, nullptr);
}

} // namespace shunt
