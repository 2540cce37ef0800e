// SPDX-License-Identifier: Apache-2.0
//
// capture.h - a source of packets: an interface or a file.
//
// Owns: the interface that all captures implement. libpcap stands behind both (user/capture_pcap.cc, user/capture_file.cc).
// Must never: allocate per packet, or return a frame with less than HEADROOM bytes before it.
#ifndef SHUNT_ENGINE_CAPTURE_H
#define SHUNT_ENGINE_CAPTURE_H

#include <vector>

#include "engine/batch.h"
#include "linux/status.h"

namespace shunt
{

enum class Taken {
	packets, // the batch holds at least one
	nothing, // none now; poll fds()
	ended,   // a file is at its end
	failed,  // problem() says why; no packet follows
};

class Capture
{
public:
	virtual ~Capture() = default;
	// The frames of a batch are the caller's, to write in, until the next call.
	virtual Taken take(Batch *batch) = 0;
	// Readable when there may be packets; none for a file, which never waits. They stay the same while the capture lives.
	virtual std::vector<int> fds() const { return {}; }
	// Call after POLLERR, or after a while without packets. failed: the interface is gone; nothing: it is down or quiet.
	virtual Taken check() { return Taken::nothing; }
	// Packets that the kernel dropped because its buffer was full, since the start.
	virtual u64 dropped() { return 0; }
	// Frames skipped because their destination is another station's MAC address.
	u64 not_for_us() const { return not_for_us_; }
	// The link that packets come from; 0 for a file.
	u32 ifindex() const { return ifindex_; }
	// Why take() or check() failed.
	const Status &problem() const { return problem_; }

protected:
	u32 ifindex_ = 0;
	u64 not_for_us_ = 0;
	Status problem_;
};

} // namespace shunt

#endif
