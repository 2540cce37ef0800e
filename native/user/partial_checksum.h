// SPDX-License-Identifier: Apache-2.0
//
// partial_checksum.h - finishes the transport checksum of a frame whose sender left it to a network card.
//
// A frame that came over veth from the same machine was never on a wire: its checksum field holds the sum of the
// pseudo-header alone (CHECKSUM_PARTIAL). Encapsulated as it is, it would be wrong. AF_PACKET says so by
// TP_STATUS_CSUMNOTREADY, which libpcap does not pass on; so the field is compared with that sum. A complete checksum that
// happens to equal it (1 in 65536) is the same after the computation, so a right packet is never changed.
//
// Owns: the detection and the computation.
// Must never: change a frame that is not UDP or TCP, is a fragment, or is cut off.
#ifndef SHUNT_USER_PARTIAL_CHECKSUM_H
#define SHUNT_USER_PARTIAL_CHECKSUM_H

#include "datapath/types.h"

namespace shunt
{

// `frame` begins at its Ethernet header.
void finish_partial_checksum(u8 *frame, const u8 *end);

// The ones' complement sum of any number of bytes, unfolded.
u64 sum_bytes(const u8 *p, u32 length);

} // namespace shunt

#endif
