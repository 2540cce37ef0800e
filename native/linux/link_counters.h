// SPDX-License-Identifier: Apache-2.0
//
// link_counters.h - counters, state and speed of one network interface (/sys/class/net/<name>, sysfs-class-net).
//
// Owns: descriptors that stay open and are read by pread(): a counter costs one system call and no look-up by name. They
// stay those of this interface when it is renamed, and when it is removed and another one gets its name.
// Must never: compute a rate; the caller knows the time between two reads.
#ifndef SHUNT_LINUX_LINK_COUNTERS_H
#define SHUNT_LINUX_LINK_COUNTERS_H

#include <array>
#include <cstdint>
#include <string>

#include "linux/descriptor.h"
#include "linux/status.h"

namespace shunt
{

// The order of LinkCounts, and of the array that JavaScript gets (src/engine/host.ts).
enum LinkCounter {
	LINK_RX_PACKETS,
	LINK_RX_BYTES,
	LINK_RX_DROPPED,
	LINK_RX_ERRORS,
	LINK_TX_PACKETS,
	LINK_TX_BYTES,
	LINK_TX_DROPPED,
	LINK_TX_ERRORS,
	LINK_COUNTERS
};
using LinkCounts = std::array<uint64_t, LINK_COUNTERS>; // since the interface was created, or the driver reset them

struct LinkState {
	// Packets can be sent and received: operstate is "up", or it is "unknown" (loopback, tun) and there is a carrier.
	bool up = false;
	std::string operstate;  // RFC 2863: "up", "down", "lowerlayerdown", "dormant", "unknown", …
	int carrier = -1;       // 0 or 1; -1: unknown, because the interface is administratively down
	std::string duplex;     // "full", "half"; empty: unknown
	uint64_t speed_bps = 0; // as LinkCounters::speed_bps()
};

class LinkCounters
{
public:
	// `speed_bps`, unless 0, overrides the driver's (virtio reports none, veth an arbitrary one). ENODEV: there is no such
	// interface.
	Status open(const std::string &interface, uint64_t speed_bps);
	// ENODEV: the interface is gone, or open() was not called.
	Result<LinkCounts> read() const;
	Result<LinkState> state() const;
	// Bits per second; 0: unknown.
	uint64_t speed_bps() const;

private:
	Descriptor files_[LINK_COUNTERS];
	Descriptor speed_, operstate_, carrier_, duplex_;
	uint64_t speed_override_ = 0;
};

} // namespace shunt

#endif
