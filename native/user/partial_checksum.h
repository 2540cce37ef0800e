// SPDX-License-Identifier: Apache-2.0
//
// partial_checksum.h - finishes the transport checksum of a frame whose sender left it to a network card.
//
// Owns: what the kernel's TP_STATUS_CSUMNOTREADY asks for. A frame that came over veth from the same machine was never
// on a wire: its checksum field holds the pseudo-header's sum alone. Put into a tunnel as it is, it would be wrong.
// Must never: touch a frame that is not UDP or TCP, or is cut off.
#ifndef SHUNT_USER_PARTIAL_CHECKSUM_H
#define SHUNT_USER_PARTIAL_CHECKSUM_H

#include "datapath/types.h"

namespace shunt
{

// `frame` begins at its Ethernet header.
void finish_checksum(u8 *frame, u8 *end);

// The ones' complement sum of any number of bytes, unfolded.
u64 sum_bytes(const u8 *p, u32 length);

} // namespace shunt

#endif
