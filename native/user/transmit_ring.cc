// SPDX-License-Identifier: Apache-2.0
//
// transmit_ring.cc - frames to an interface through a ring that the kernel sends from.
//
// Owns: the copy of each frame into its slot. The kernel then refers to the slot's pages instead of copying the frame.
// Must never: wait for a slot.
#include <cerrno>
#include <cstring>

#include "datapath/reasons.h"
#include "user/send_ring.h"
#include "user/transmit.h"

namespace shunt
{

namespace
{

constexpr u32 SLOTS = 2048;

class RingTransmit final : public Transmit
{
public:
	Status open(u32 ifindex, bool qdisc_bypass) { return ring_.open(ifindex, qdisc_bypass, SLOTS); }

	void queue(const sh_frame &frame, u8 *reason) override
	{
		u32 length = static_cast<u32>(frame.end - frame.data);
		u8 *slot;

		if (length > ring_.slot_bytes()) {
			*reason = SH_R_transmit_failed;
			return;
		}
		slot = ring_.slot();
		if (!slot) {
			flush(); // the kernel may have stopped half-way when the link's queue was full
			slot = ring_.slot();
		}
		if (!slot) {
			*reason = SH_R_transmit_full;
			return;
		}
		memcpy(slot, frame.data, length);
		ring_.commit(length);
		reasons_[count_++] = reason;
		if (count_ == BATCH)
			flush();
	}

	void flush() override
	{
		int error = count_ ? ring_.kick() : 0;

		// Frames left in the ring after "full" are sent by a later kick. Another error means that the link is down
		// or gone: the kernel then sends none of the ring's frames.
		if (error && error != EAGAIN && error != ENOBUFS && error != EINTR)
			for (u32 i = 0; i < count_; i++)
				*reasons_[i] = SH_R_transmit_failed;
		count_ = 0;
	}

private:
	SendRing ring_;
	u32 count_ = 0;
	u8 *reasons_[BATCH];
};

} // namespace

Result<std::unique_ptr<Transmit>> open_ring_transmit(u32 ifindex, bool qdisc_bypass)
{
	auto transmit = std::make_unique<RingTransmit>();

	if (Status status = transmit->open(ifindex, qdisc_bypass); !status.ok())
		return status;
	return std::unique_ptr<Transmit>(std::move(transmit));
}

} // namespace shunt
