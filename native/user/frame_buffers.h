// SPDX-License-Identifier: Apache-2.0
//
// frame_buffers.h - the memory that a capture copies frames into: one slot for each frame of a batch, HEADROOM before it.
//
// Owns: one anonymous mapping. libpcap lends a packet for the length of a callback and leaves no room before it.
// Must never: be used for more than one batch at a time.
#ifndef SHUNT_USER_FRAME_BUFFERS_H
#define SHUNT_USER_FRAME_BUFFERS_H

#include <cstring>

#include "engine/batch.h"
#include "engine/mapping.h"

namespace shunt
{

class FrameBuffers
{
public:
	static constexpr u32 LARGEST = 65536 + 18; // an IP packet and Ethernet with a tag

	bool allocate() { return memory_.allocate((size_t)SLOT * BATCH); }
	// The batch must have room for one more.
	sh_frame &add(Batch *batch, const u8 *data, u32 length)
	{
		u8 *floor = memory_.data() + (size_t)SLOT * batch->count;
		sh_frame &frame = batch->frames[batch->count++];

		length = length < LARGEST ? length : LARGEST;
		memcpy(floor + HEADROOM, data, length);
		frame = sh_frame{floor + HEADROOM, floor + HEADROOM + length, floor};
		return frame;
	}

private:
	static constexpr u32 SLOT = (HEADROOM + LARGEST + 63) / 64 * 64;

	Mapping memory_;
};

} // namespace shunt

#endif
