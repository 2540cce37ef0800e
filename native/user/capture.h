// SPDX-License-Identifier: Apache-2.0
//
// capture.h - where packets come from.
//
// Owns: the interface that all captures share, and what a batch is. Three kinds stand behind it: an AF_PACKET ring
// (capture_ring.cc), libpcap live and libpcap from a file (capture_pcap.cc).
// Must never: allocate per packet, or hand out a frame with less than HEADROOM bytes before it.
#ifndef SHUNT_USER_CAPTURE_H
#define SHUNT_USER_CAPTURE_H

#include <memory>
#include <string>

#include "user/program.h"

namespace shunt
{

static_assert(BATCH <= 64, "Batch::sent has a bit for each frame");

struct Batch {
	u32 count = 0;
	u64 sent = 0; // bit i: this host sends frame i, it did not come; such a frame may be cut off behind its headers
	u64 time_ns = 0; // a file's clock: the packet's own timestamp; 0: live, read the clock
	sh_frame frames[BATCH];
};

enum class Taken {
	packets, // the batch holds at least one
	nothing, // not now; wait on fd()
	ended,   // a file is at its end
	failed,  // problem() says why; nothing will come any more
};

class Capture
{
public:
	virtual ~Capture() = default;
	// The frames of a batch are the caller's, to write in, until the next call.
	virtual Taken take(Batch *batch) = 0;
	// Readable when there may be packets; -1 for a file, which never waits.
	virtual int fd() const = 0;
	// After poll said POLLERR, or nothing for a while: is the interface gone (failed), or only down or quiet (nothing)?
	virtual Taken check() { return Taken::nothing; }
	// Packets that the kernel dropped for want of room, since the start.
	virtual u64 dropped() { return 0; }
	// Frames passed over because they are for another station.
	u64 not_for_us() const { return not_for_us_; }
	// The link packets come from; 0 for a file.
	u32 ifindex() const { return ifindex_; }
	const std::string &problem() const { return problem_; }

protected:
	u32 ifindex_ = 0;
	u64 not_for_us_ = 0;
	std::string problem_;
};

struct CaptureOptions {
	std::string interface; // or
	std::string file;
	u32 snaplen = 0;          // pcap: bytes taken of each packet; 0: all
	u32 buffer_bytes = 0;     // of the kernel's buffer; 0: 32 MiB for a ring, 16 MiB for pcap
	u32 busy_poll_us = 0;     // SO_BUSY_POLL; 0: off
	int fanout = -1;          // group id that several workers on one interface share; -1: alone
	bool any_station = false; // also frames for other stations' MAC addresses
	bool sent = false;        // also what this host sends there
};

// Each returns NULL and sets `problem` to one sentence when it can't.
std::unique_ptr<Capture> open_ring_capture(const CaptureOptions &options, std::string *problem);
std::unique_ptr<Capture> open_pcap_capture(const CaptureOptions &options, std::string *problem);
std::unique_ptr<Capture> open_file_capture(const CaptureOptions &options, std::string *problem);

} // namespace shunt

#endif
