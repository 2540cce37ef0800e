// SPDX-License-Identifier: Apache-2.0
//
// run_file.h - a deterministic run of an engine over a pcap file: the clock is the packets' own.
//
// Owns: what golden tests are made of. Each run starts without sessions and fragments, and with counters at zero.
// Must never: read a clock, or know which engine it runs.
#ifndef SHUNT_ENGINE_RUN_FILE_H
#define SHUNT_ENGINE_RUN_FILE_H

#include "engine/capture.h"
#include "engine/sessions.h"
#include "engine/statistics.h"
#include "engine/transmit.h"

namespace shunt
{

struct FileRun {
	struct Step {
		u64 at; // index of the first packet that these tables apply to
		TableSpec tables;
	};
	std::vector<Step> steps; // by rising `at`
	std::string input;
	std::string output; // pcap file of the packets sent; empty: none is written
	std::string inner;  // pcap file of the packets delivered; empty: none is written
	u64 sessions4 = 4096, sessions6 = 4096, fragments = 256;
	std::vector<u64> sent; // indices of egress packets, rising
	bool explain = false;  // call explain() before each packet
};

// The outcome of one packet.
struct PacketOutcome {
	u8 reason;
	u16 target;                // index; 0: none
	Sent sent = Sent::nothing; // of an egress packet; then the rest has no meaning
};

struct FileRunResult {
	std::shared_ptr<Statistics> statistics;
	std::vector<u8> reasons; // of each packet, in order; of an egress packet SENT + its Sent
	static constexpr u8 SENT = 250;
	std::vector<u16> targets; // likewise; 0: none
	// What explain() said of each packet's flow, just before it; NOT_EXPLAINED where the packet is not the next one of a
	// flow: malformed, a later fragment, an ICMP error. Empty unless FileRun::explain.
	static constexpr u8 NOT_EXPLAINED = 255;
	std::vector<u8> explained_reasons;
	std::vector<u16> explained_targets;
	std::vector<SessionRow> sessions; // at the end; idle time as of the last packet
};

// Tells what an egress packet did, from the counters before and after it.
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

// An engine as a run drives it: one packet after the other, each at its own time.
class FileEngine
{
public:
	virtual ~FileEngine() = default;
	virtual const Sessions &sessions() const = 0;
	virtual const std::shared_ptr<Statistics> &statistics() const = 0;
	// The tables of the next packets. `block` must outlive the engine's last packet.
	virtual Status publish(const TableBlock *block) = 0;
	// Runs the batch's one packet, sends it as its verdict says, and counts it. An egress packet (batch->sent) is observed
	// only.
	virtual Result<PacketOutcome> run(Batch *batch) = 0;
};

// The outputs of a run.
struct FileOutputs {
	std::unique_ptr<Transmit> out, inner;
};

// `clock_ns` is the time of the current packet.
Result<FileOutputs> open_file_outputs(const FileRun &run, const u64 *clock_ns);

// `input` is a capture of run.input.
Result<FileRunResult> run_file(const FileRun &run, Capture *input, FileEngine *engine);

} // namespace shunt

#endif
