// SPDX-License-Identifier: Apache-2.0
//
// link.h - counters and speed of one network interface, by descriptors that stay open.
//
// Owns: the files under /sys/class/net/<name>, read by pread: a counter costs one system call and no look-up by name.
// Must never: compute a rate (who asks knows when it asked last).
#ifndef SHUNT_HOST_LINK_H
#define SHUNT_HOST_LINK_H

#include <cstddef>
#include <string>

#include "host/descriptor.h"
#include "host/failure.h"
#include "packet/types.h"

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

class LinkCounters
{
public:
	// `speed_bps` other than 0 replaces what the driver says (virtio says nothing, veth a fiction).
	Failure open(const std::string &interface, u64 speed_bps);
	// ENODEV once the interface is gone.
	Failure read(u64 (&out)[LINK_COUNTERS]) const;
	// Bits per second; 0: unknown.
	u64 speed_bps() const;

private:
	Descriptor files_[LINK_COUNTERS];
	std::string speed_path_;
	u64 speed_override_ = 0;
};

} // namespace shunt

#endif
