// SPDX-License-Identifier: Apache-2.0
//
// fragment_sender.h - sends a datagram in fragments where an engine can only send one packet for each that it received.
//
// Owns: the interface that the kernel's engine knows. The user-space build of the packet program stands behind it.
#ifndef SHUNT_ENGINE_FRAGMENT_SENDER_H
#define SHUNT_ENGINE_FRAGMENT_SENDER_H

#include <memory>

#include "engine/sessions.h"
#include "engine/transmit.h"

namespace shunt
{

class FragmentSender
{
public:
	virtual ~FragmentSender() = default;
	// Frames are sent on these links only. Before the tables whose targets are reached by them.
	virtual Status open_link(u32 ifindex) = 0;
	// A received frame's datagram, to this target of these tables. now_ns 0: the clock's.
	virtual void send(const u8 *frame, u32 length, u16 target, const sh_tables *tables, u64 now_ns) = 0;
};

// `output`: where everything goes instead of to links; empty: to links.
using MakeFragmentSender = std::unique_ptr<FragmentSender> (*)(const Sessions &sessions,
                                                               std::unique_ptr<Transmit> output);

} // namespace shunt

#endif
