// SPDX-License-Identifier: Apache-2.0
//
// run_file.h - a deterministic run of the engine's pipeline over a pcap file: the clock is the packets' own.
//
// Owns: what golden tests are made of. Each call starts from nothing: no sessions, no fragments, counters at zero.
// Must never: read a clock.
#ifndef SHUNT_ENGINE_RUN_FILE_H
#define SHUNT_ENGINE_RUN_FILE_H

#include "engine/engine.h"

namespace shunt
{

struct FileRun {
	struct Step {
		u64 at; // index of the first packet that these tables hold for
		TableSpec tables;
	};
	std::vector<Step> steps; // by rising `at`
	std::string input;
	std::string output; // Ethernet; empty: nowhere
	std::string inner;  // popped packets, raw IP; empty: nowhere, and they count as delivered all the same
	u64 sessions4 = 4096, sessions6 = 4096, fragments = 256;
};

struct FileRunResult {
	std::shared_ptr<Statistics> statistics; // one worker's
	std::vector<u8> reasons;                // of each packet, in order
	std::vector<SessionRow> sessions;       // left at the end; idle time as of the last packet
};

bool run_file(const FileRun &run, FileRunResult *result, std::string *problem);

} // namespace shunt

#endif
