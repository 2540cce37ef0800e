// SPDX-License-Identifier: Apache-2.0
//
// transmit.h - a sink of packets: an interface, a tun device or a file.
//
// Owns: the interface that all transmits implement.
// Must never: block. A transmit without room says so, and the packet is counted as transmit_full.
#ifndef SHUNT_ENGINE_TRANSMIT_H
#define SHUNT_ENGINE_TRANSMIT_H

#include <memory>
#include <string>

#include "engine/batch.h"
#include "linux/status.h"

namespace shunt
{

class Transmit
{
public:
	virtual ~Transmit() = default;
	// Takes a frame, which must stay as it is until flush() has returned. Where it can't be sent, *reason becomes
	// SH_R_transmit_full or SH_R_transmit_failed, now or in flush(). At most BATCH frames between two flushes.
	virtual void queue(const sh_frame &frame, u8 *reason) = 0;
	virtual void flush() = 0;
};

// Appends Ethernet frames to a new pcap file with timestamps in nanoseconds, taken from *clock_ns.
Result<std::unique_ptr<Transmit>> open_file_transmit(const std::string &file, const u64 *clock_ns);
// Discards every frame.
std::unique_ptr<Transmit> open_null_transmit();

} // namespace shunt

#endif
