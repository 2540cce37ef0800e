// SPDX-License-Identifier: Apache-2.0
//
// fragments.h - cuts an IPv4 datagram into fragments (RFC 791, 3.2), as its sender would have done for a smaller link.
//
// Owns: the memory of the fragments of one datagram.
// Must never: cut a datagram with IPv4 options, or with DF set; datapath/oversize.h leaves both out.
#ifndef SHUNT_USER_FRAGMENTS_H
#define SHUNT_USER_FRAGMENTS_H

#include <vector>

#include "datapath/oversize.h"
#include "engine/batch.h"

namespace shunt
{

class Fragments
{
public:
	// Cuts the datagram of an Ethernet frame into fragments of at most `room` bytes of IP packet, each in a frame with HEADROOM
	// before it. False: it is none that can be cut.
	bool cut(const sh_frame &frame, u32 room);
	u32 count() const { return count_; }
	// Until the next cut().
	sh_frame &operator[](u32 i) { return frames_[i]; }

private:
	std::vector<u8> memory_; // grows to the largest datagram's
	sh_frame frames_[SH_FRAGMENTS];
	u32 count_ = 0;
};

} // namespace shunt

#endif
