// SPDX-License-Identifier: Apache-2.0
//
// fragment_sender.cc - see the header.
//
// Its counters are its own and not shown: the kernel's engine has counted the datagram.
#include "user/fragment_sender.h"

#include <cstring>
#include <vector>

#include "user/pipeline.h"
#include "user/transmit.h"

namespace shunt
{

namespace
{

class PipelineFragmentSender final : public FragmentSender
{
public:
	PipelineFragmentSender(const Sessions &sessions, std::unique_ptr<Transmit> output)
	    : pipeline_(sessions, counters_.data())
	{
		if (output)
			pipeline_.set_output(std::move(output));
	}

	Status open_link(u32 ifindex) override
	{
		if (pipeline_.has_link(ifindex))
			return {};
		auto transmit = open_transmit(TransmitKind::sendmmsg, ifindex, false);
		if (!transmit.ok())
			return transmit.status();
		return pipeline_.add_link(ifindex, transmit.take()) ? Status() : Status::error("too many links");
	}

	void send(const u8 *frame, u32 length, u16 target, const sh_tables *tables, u64 now_ns) override
	{
		if (memory_.size() < HEADROOM + length)
			memory_.resize(HEADROOM + length);
		u8 *data = memory_.data() + HEADROOM;
		memcpy(data, frame, length);
		pipeline_.send_fragments(sh_frame{data, data + length, memory_.data()}, target, tables, now_ns);
	}

private:
	std::vector<u64> counters_ = std::vector<u64>(STATISTICS_STRIDE);
	std::vector<u8> memory_;
	Pipeline pipeline_;
};

} // namespace

std::unique_ptr<FragmentSender> make_fragment_sender(const Sessions &sessions, std::unique_ptr<Transmit> output)
{
	return std::make_unique<PipelineFragmentSender>(sessions, std::move(output));
}

} // namespace shunt
