// SPDX-License-Identifier: Apache-2.0
//
// xdp_features.h - what an interface's driver can do with XDP, as it says so itself (generic netlink "netdev", Linux 6.3).
//
// Owns: the question. A driver that takes a program may still not take frames that a program sends on: a veth, say, does so
// only while its other end has a program or GRO.
// Must never: decide which mode is used.
#ifndef SHUNT_LINUX_XDP_FEATURES_H
#define SHUNT_LINUX_XDP_FEATURES_H

#include "datapath/types.h"
#include "linux/failure.h"

namespace shunt
{

// Bits of enum netdev_xdp_act, <linux/netdev.h>: 1 takes programs, 2 their redirects, 4 frames that are redirected to it,
// 32 frames in several buffers. ENOENT: this kernel is too old to say.
Failure xdp_features(u32 ifindex, u64 *features);

} // namespace shunt

#endif
