// SPDX-License-Identifier: Apache-2.0
//
// xdp_features.cc - see the header.
#include "linux/xdp_features.h"

#include <cerrno>
#include <linux/genetlink.h>
#include <optional>

#include "linux/netdev_family.h"

namespace shunt
{

namespace
{

constexpr const char *STEP = "XDP features";

} // namespace

Result<uint64_t> xdp_features(uint32_t ifindex)
{
	std::optional<uint64_t> features;
	NetdevFamily netdev;

	if (Status status = netdev.open(); !status.ok())
		return status;
	NetlinkRequest request = netdev.request(NETDEV_CMD_DEV_GET);
	request.attribute(NETDEV_A_DEV_IFINDEX, &ifindex, sizeof(ifindex));
	Status status = netdev.ask(request, STEP, [&](const NetlinkMessage &message) {
		for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();) {
			uint64_t bits;

			if (at.type() == NETDEV_A_DEV_XDP_FEATURES && at.read(&bits))
				features = bits;
		}
	});
	if (!status.ok())
		return status;
	if (!features)
		return Status::system(STEP, ENOENT);
	return *features;
}

} // namespace shunt
