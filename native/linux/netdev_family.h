// SPDX-License-Identifier: Apache-2.0
//
// netdev_family.h - the generic netlink family "netdev" (Linux 6.3): XDP features, statistics of queues.
//
// Owns: the look-up of the family's number, and the numbers of <linux/netdev.h>, which is newer than some headers that
// this is built with.
// Must never: interpret an answer.
#ifndef SHUNT_LINUX_NETDEV_FAMILY_H
#define SHUNT_LINUX_NETDEV_FAMILY_H

#include <cstdint>

#include "linux/netlink.h"

namespace shunt
{

enum : uint8_t { NETDEV_CMD_DEV_GET = 1, NETDEV_CMD_QSTATS_GET = 12 };
enum : uint16_t { NETDEV_A_DEV_IFINDEX = 1, NETDEV_A_DEV_XDP_FEATURES = 3 };
enum : uint16_t {
	NETDEV_A_QSTATS_IFINDEX = 1,
	NETDEV_A_QSTATS_QUEUE_ID = 3,
	NETDEV_A_QSTATS_SCOPE = 4,
	NETDEV_A_QSTATS_RX_PACKETS = 8,
	NETDEV_A_QSTATS_RX_BYTES = 9,
	NETDEV_A_QSTATS_TX_PACKETS = 10,
	NETDEV_A_QSTATS_TX_BYTES = 11,
	NETDEV_A_QSTATS_RX_HW_DROPS = 13,
	NETDEV_A_QSTATS_TX_HW_DROPS = 24,
};
constexpr uint32_t NETDEV_QSTATS_SCOPE_QUEUE = 1;

class NetdevFamily
{
public:
	// ENOENT: this kernel has no such family.
	Status open();
	// Without attributes as yet; behind open().
	NetlinkRequest request(uint8_t command, uint16_t flags = 0) const;
	Status ask(NetlinkRequest &request, const char *step, const NetlinkHandler &each)
	{
		return netlink_.ask(request, step, each);
	}

private:
	Netlink netlink_;
	uint16_t family_ = 0;
};

} // namespace shunt

#endif
