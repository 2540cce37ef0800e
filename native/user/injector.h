// SPDX-License-Identifier: Apache-2.0
//
// injector.h - sends given frames on an interface as fast as it takes them (R27), or at a given rate.
//
// Owns: a stand-in for the kernel's packet generator, for tests, benchmarks and the lab.
// Must never: send longer than its bounds say.
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
	double seconds = 0;                  // time to send for; 0: no bound. One of the two must be set.
	u32 flows = 1;                       // > 1: source port and address run through so many flows, checksums right
	double pps = 0;                      // 0: as fast as the interface takes them
	TransmitKind transmit = TransmitKind::sendmmsg;
	bool qdisc_bypass = true;
};

struct InjectionResult {
	u64 sent = 0;    // taken by the interface
	u64 full = 0;    // not taken, for want of room, and not sent again
	u64 refused = 0; // refused by the kernel: malformed, or the link is down
	double seconds = 0;
};

// Blocks until done or `cancelled`. False, and one sentence, when the interface can't be opened or a frame not varied.
bool inject(const Injection &injection, const std::atomic<bool> &cancelled, InjectionResult *result,
            std::string *problem);

} // namespace shunt

#endif
