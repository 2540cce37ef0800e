// SPDX-License-Identifier: Apache-2.0
//
// run_file.h - a deterministic run of an engine over a pcap file: the clock is the packets' own.
//
// Owns: what golden tests are made of. Each call starts from nothing: no sessions, no fragments, counters at zero.
// Must never: read a clock, or know which engine it runs.
#ifndef SHUNT_USER_RUN_FILE_H
#define SHUNT_USER_RUN_FILE_H

#include "engine/sessions.h"
#include "engine/statistics.h"
#include "user/capture.h"
#include "user/transmit.h"

namespace shunt
{

struct FileRun {
	struct Step {
		u64 at; // index of the first packet that these tables hold for
		TableSpec tables;
	};
	std::vector<Step> steps; // by rising `at`
	std::string input;
	std::string output; // what is sent; empty: nowhere
	std::string inner;  // what is delivered; empty: nowhere
	u64 sessions4 = 4096, sessions6 = 4096, fragments = 256;
	std::vector<u64> sent; // indices of packets that the host sends, rising
	bool explain = false;  // ask explain() before each packet
};

// What became of a packet.
struct Passed {
	u8 reason;
	u16 target;                // index; 0: none
	Sent sent = Sent::nothing; // of a packet that the host sends; then the rest means nothing
};

struct FileRunResult {
	std::shared_ptr<Statistics> statistics;
	std::vector<u8> reasons; // of each packet, in order; of one that the host sends SENT + what it did
	static constexpr u8 SENT = 250;
	std::vector<u16> targets; // likewise; 0: none
	// What explain() said of each packet's flow, just before it; NOT_EXPLAINED where the packet is not the next one of a
	// flow: malformed, a later fragment, an ICMP error. Empty unless asked for.
	static constexpr u8 NOT_EXPLAINED = 255;
	std::vector<u8> explained_reasons;
	std::vector<u16> explained_targets;
	std::vector<SessionRow> sessions; // left at the end; idle time as of the last packet
};

// What a packet that the host sends has done, by the counters around it.
class SentCounters
{
public:
	explicit SentCounters(const u64 *words)
	    : words_(words), packets_(words[word::sent_packets]), made_(words[word::sent_made])
	{
	}
	Sent since() const
	{
		if (words_[word::sent_made] > made_)
			return Sent::made;
		return words_[word::sent_packets] > packets_ ? Sent::renewed : Sent::nothing;
	}

private:
	const u64 *words_;
	u64 packets_, made_;
};

// An engine as a run needs it: one packet after the other, each at its own time.
class FileEngine
{
public:
	virtual ~FileEngine() = default;
	virtual const Sessions &sessions() const = 0;
	virtual const std::shared_ptr<Statistics> &statistics() const = 0;
	// The set that the next packets meet; it lives as long as the run.
	virtual bool publish(const TableBlock *block, std::string *problem) = 0;
	// Runs the batch's one packet, sends it where its verdict says, counts it, and tells what became of it. One that the host
	// sends itself (batch->sent) is only noted.
	virtual bool pass(Batch *batch, Passed *passed, std::string *problem) = 0;
};

// Where a run's packets go; `clock_ns` is the time of the packet in hand.
struct FileWays {
	std::unique_ptr<Transmit> out, inner;
};

// The user-space engine for a run.
std::unique_ptr<FileEngine> open_user_file_engine(const FileRun &run, std::string *problem);
// The ways that a run names; ways to nowhere where it names none.
bool open_file_ways(const FileRun &run, const u64 *clock_ns, FileWays *ways, std::string *problem);

bool run_file(const FileRun &run, FileEngine *engine, FileRunResult *result, std::string *problem);

} // namespace shunt

#endif
