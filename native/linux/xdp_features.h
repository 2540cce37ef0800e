// SPDX-License-Identifier: Apache-2.0
//
// xdp_features.h - the XDP features that an interface's driver declares (generic netlink "netdev", Linux 6.3).
//
// Owns: the query. A driver that runs XDP programs may still not accept frames that a program redirects to it: a veth, for
// one, accepts them only while its peer has a program or GRO.
// Must never: decide which mode is used.
#ifndef SHUNT_LINUX_XDP_FEATURES_H
#define SHUNT_LINUX_XDP_FEATURES_H

#include <cstdint>

#include "linux/status.h"

namespace shunt
{

// Bits of enum netdev_xdp_act, <linux/netdev.h>: 1 runs XDP programs, 2 executes XDP_REDIRECT, 4 accepts redirected frames
// (ndo_xdp_xmit), 32 frames in several buffers. ENOENT: this kernel is too old to report them; ENODEV: no such interface.
Result<uint64_t> xdp_features(uint32_t ifindex);

} // namespace shunt

#endif
