// SPDX-License-Identifier: Apache-2.0
//
// injector.h - sends frames on an interface as fast as it accepts them (R27), or at a given rate.
//
// Owns: a replacement for the kernel's packet generator (pktgen), for tests, benchmarks and the lab.
// Must never: send beyond its bounds.
#ifndef SHUNT_USER_INJECTOR_H
#define SHUNT_USER_INJECTOR_H

#include <atomic>
#include <string>
#include <vector>

#include "user/transmit.h"

namespace shunt
{

struct Injection {
	std::string interface;
	std::vector<std::vector<u8>> frames; // Ethernet; sent in turn
	u64 count = 0;                       // frames to send; 0: no bound
	double seconds = 0;                  // time to send for; 0: no bound. One of count and seconds must be set.
	u32 flows = 1;  // > 1: source port and address run through this many flows, checksums right
	double pps = 0; // 0: as fast as the interface accepts them
	TransmitKind transmit = TransmitKind::sendmmsg;
	bool qdisc_bypass = true;
};

struct InjectionResult {
	u64 sent = 0;    // accepted by the interface
	u64 full = 0;    // not accepted because its queue was full; not sent again
	u64 refused = 0; // refused by the kernel: malformed, or the link is down
	double seconds = 0;
};

// Blocks until done or `cancelled`. Fails if the interface can't be opened or the flow of a frame can't be varied.
Result<InjectionResult> inject(const Injection &injection, const std::atomic<bool> &cancelled);

} // namespace shunt

#endif
