// SPDX-License-Identifier: Apache-2.0
//
// kernel_file_engine.cc - see the header.
//
// The kernel hands no packet of less than an Ethernet header to a program, so neither does BPF_PROG_TEST_RUN; a run that
// holds one fails with a sentence.
#include "kernel/kernel_file_engine.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sched.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include "datapath/passage.h"
#include "datapath/reasons.h"
#include "kernel/kernel_program.h"

namespace shunt
{

namespace
{

constexpr u32 LARGEST = 65536;

// The processor's scratch memory is read after each packet, so the run must stay on one.
class OnOneProcessor
{
public:
	OnOneProcessor()
	{
		cpu_set_t one;

		sched_getaffinity(0, sizeof(before_), &before_);
		processor_ = sched_getcpu();
		CPU_ZERO(&one);
		CPU_SET(processor_, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
	~OnOneProcessor() { sched_setaffinity(0, sizeof(before_), &before_); }
	int processor() const { return processor_; }

private:
	cpu_set_t before_;
	int processor_;
};

class KernelFileEngine final : public FileEngine
{
public:
	bool open(const FileRun &run, std::string *problem)
	{
		KernelProgramOptions options;
		TableCapacity capacity = {256, 256, 256, 256, 65536, 1024};

		options.geometry = Sessions::geometry_for(run.sessions4, run.sessions6, run.fragments);
		options.own_clock = false;
		options.sent = true;
		program_ = KernelProgram::load(options, capacity, &memory_, problem);
		if (!program_ || !memory_.lend(&sessions_, statistics_.get(), problem))
			return false;
		scratch_fd_ = program_->object().map_fd("sh_scratch_map");
		scratch_.resize((size_t)SH_SCRATCH_BYTES * possible_processors());
		out_.resize(HEADROOM + LARGEST);
		return open_file_ways(run, &now_ns_, &ways_, problem);
	}

	const Sessions &sessions() const override { return sessions_; }
	const std::shared_ptr<Statistics> &statistics() const override { return statistics_; }

	bool publish(const TableBlock *block, std::string *problem) override
	{
		if (!program_->holds(*block->tables())) {
			*problem = "the run's tables are larger than a run's maps";
			return false;
		}
		program_->publish(*block->tables());
		return true;
	}

	bool pass(Batch *batch, Passed *passed, std::string *problem) override
	{
		sh_frame frame = batch->frames[0];
		u32 length = static_cast<u32>(frame.end - frame.data);
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data, .data_out = out_.data(),
		            .data_size_in = length, .data_size_out = (u32)out_.size(), .repeat = 1);
		const u32 zero = 0;

		now_ns_ = batch->time_ns;
		program_->set_time(now_ns_);
		if (batch->sent)
			return note(frame, length, passed, problem);
		if (bpf_prog_test_run_opts(program_->fd(), &run) ||
		    bpf_map_lookup_elem(scratch_fd_, &zero, scratch_.data())) {
			*problem = kernel_problem(
				"the kernel does not run a packet of " + std::to_string(length) + " bytes", errno);
			return false;
		}
		sh_passage passage;
		memcpy(&passage, scratch_.data() + (size_t)processor_.processor() * SH_SCRATCH_BYTES, sizeof(passage));
		*passed = {passage.result.reason, passage.result.target};
		frame = sh_frame{out_.data(), out_.data() + run.data_size_out, out_.data()};
		send(frame, passage.result, run.retval, problem);
		return problem->empty();
	}

private:
	// What this host sends is the other program's, which lets it pass and counts what it did. A test run takes no more than a
	// page (all that the program reads is headers), and no frame without a whole IP header (of which it could tell nothing).
	bool note(const sh_frame &frame, u32 length, Passed *passed, std::string *problem)
	{
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data, .data_size_in = std::min(length, 3072u),
		            .repeat = 1);
		SentCounters counters(statistics_->worker((u32)processor_.processor()));

		*passed = {0, 0, Sent::nothing};
		if (bpf_prog_test_run_opts(program_->sent_fd(), &run)) {
			if (errno == EINVAL && length < 14 + 40)
				return true;
			*problem = kernel_problem(
				"the kernel does not run a sent packet of " + std::to_string(length) + " bytes", errno);
			return false;
		}
		*passed = {0, 0, counters.since()};
		if (run.retval != (u32)TC_ACT_UNSPEC)
			*problem = "the program decides about a packet that this host sends";
		return problem->empty();
	}

	// What the program says and what it has the kernel do must be the same.
	void send(const sh_frame &frame, const sh_result &result, u32 action, std::string *problem)
	{
		u32 verdict = sh_verdict_of(result.reason);
		u8 failed = 0;
		bool right;

		if (verdict == SH_PASS)
			right = action == XDP_PASS;
		else if (verdict == SH_DROP)
			right = action == XDP_DROP;
		else
			right = action == XDP_TX || (verdict == SH_FORWARD && action == XDP_REDIRECT);
		if (!right)
			*problem = "XDP action " + std::to_string(action) + " for verdict " + std::to_string(verdict);
		Transmit *way = verdict == SH_PASS   ? (result.popped ? ways_.inner.get() : nullptr)
		                : verdict == SH_DROP ? nullptr
		                                     : ways_.out.get();
		if (!way)
			return;
		way->queue(frame, &failed);
		way->flush();
		if (failed)
			*problem = "the output can't be written";
	}

	OnOneProcessor processor_;
	KernelMemory memory_;
	std::unique_ptr<KernelProgram> program_;
	Sessions sessions_;
	std::shared_ptr<Statistics> statistics_ = std::make_shared<Statistics>();
	FileWays ways_;
	int scratch_fd_ = -1;
	std::vector<u8> scratch_, out_;
	u64 now_ns_ = 0;
};

} // namespace

std::unique_ptr<FileEngine> open_kernel_file_engine(const FileRun &run, std::string *problem)
{
	std::unique_ptr<KernelFileEngine> engine(new KernelFileEngine);

	if (!engine->open(run, problem))
		return nullptr;
	return engine;
}

} // namespace shunt
