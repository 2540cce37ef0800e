// SPDX-License-Identifier: Apache-2.0
//
// link.h - counters, state and speed of one network interface, by descriptors that stay open.
//
// Owns: the files under /sys/class/net/<name>, read by pread: a counter costs one system call and no look-up by name. They
// stay those of this interface when it is renamed, and when it goes and another one of its name comes.
// Must never: compute a rate (who asks knows when it asked last).
#ifndef SHUNT_LINUX_LINK_H
#define SHUNT_LINUX_LINK_H

#include <cstddef>
#include <string>

#include "datapath/types.h"
#include "linux/descriptor.h"
#include "linux/failure.h"

namespace shunt
{

// In this order also in the array that crosses to JavaScript.
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

struct LinkState {
	// Can carry packets. Some (loopback, tun) don't tell, and then it is the carrier that counts.
	bool up = false;
	std::string operstate; // the kernel's word: "up", "down", "lowerlayerdown", "dormant", "unknown", …
	int carrier = -1;      // -1: the interface is administratively down, and does not tell
	std::string duplex;    // "full", "half"; empty: unknown
	u64 speed_bps = 0;     // as speed_bps()
};

class LinkCounters
{
public:
	// `speed_bps` other than 0 replaces what the driver says (virtio says nothing, veth a fiction).
	Failure open(const std::string &interface, u64 speed_bps);
	// ENODEV once the interface is gone.
	Failure read(u64 (&out)[LINK_COUNTERS]) const;
	// Bits per second; 0: unknown.
	u64 speed_bps() const;
	// ENODEV once the interface is gone.
	Failure state(LinkState *out) const;

private:
	Descriptor files_[LINK_COUNTERS];
	Descriptor speed_, operstate_, carrier_, duplex_;
	u64 speed_override_ = 0;
};

} // namespace shunt

#endif
