// SPDX-License-Identifier: Apache-2.0
//
// send_ring.h - an AF_PACKET transmit ring (TPACKET_V2): slots of memory that the kernel sends from.
//
// Owns: the socket, the ring and the state of its slots.
// Must never: read a frame.
#ifndef SHUNT_USER_SEND_RING_H
#define SHUNT_USER_SEND_RING_H

#include "datapath/types.h"
#include "linux/descriptor.h"
#include "linux/status.h"

namespace shunt
{

class SendRing
{
public:
	SendRing() = default;
	SendRing(const SendRing &) = delete;
	~SendRing();

	Status open(u32 ifindex, bool qdisc_bypass, u32 slots);
	// The next slot's memory, of slot_bytes() bytes; NULL when the kernel has not sent that slot yet.
	u8 *slot();
	// Passes the slot that slot() returned to the kernel, with `length` bytes of frame. kick() makes the kernel send it.
	void commit(u32 length);
	// 0, or the error. EAGAIN and ENOBUFS mean that the link's queue is full: try again later.
	int kick();
	u32 slot_bytes() const { return slot_bytes_; }
	// Waits until a slot may be free.
	void wait(int timeout_ms);
	// Slots whose frame the kernel refused, since the last call.
	u32 refused();
	// True when the kernel has sent every committed slot.
	bool drained() const;

private:
	u8 *header(u32 i) const { return ring_ + (size_t)i * frame_bytes_; }

	Descriptor fd_;
	u8 *ring_ = nullptr;
	size_t ring_bytes_ = 0;
	u32 slots_ = 0;
	u32 frame_bytes_ = 0;
	u32 slot_bytes_ = 0;
	u32 next_ = 0;
	u32 refused_ = 0;
};

} // namespace shunt

#endif
