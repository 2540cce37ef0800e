// SPDX-License-Identifier: Apache-2.0
//
// file_engine.cc - see the header.
//
// The kernel passes no packet shorter than an Ethernet header to a program, and neither does BPF_PROG_TEST_RUN; a run with one
// fails.
#include "kernel/file_engine.h"

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
#include "kernel/oversized.h"

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

// A loaded program with its memory. The verifier takes most of a run's time, so a run leaves them for the next one of its
// thread, which uses them if its tables have the same sizes.
struct Loaded {
	KernelMemory memory;
	std::unique_ptr<KernelProgram> program;
};

thread_local std::unique_ptr<Loaded> spare;

Result<std::unique_ptr<Loaded>> loaded_for(const KernelProgramOptions &options, const TableCapacity &capacity)
{
	std::unique_ptr<Loaded> loaded = std::move(spare);

	if (loaded && loaded->memory.geometry() == options.geometry) {
		if (Status status = loaded->program->reset(loaded->memory); !status.ok())
			return status;
		return loaded;
	}
	loaded = std::make_unique<Loaded>();
	auto program = KernelProgram::load(options, capacity, &loaded->memory);
	if (!program.ok())
		return program.status();
	loaded->program = program.take();
	return loaded;
}

// The run's output, of which the sender of fragments is not the only user.
class SharedTransmit final : public Transmit
{
public:
	explicit SharedTransmit(Transmit *output) : output_(output) {}
	void queue(const sh_frame &frame, u8 *reason) override { output_->queue(frame, reason); }
	void flush() override { output_->flush(); }

private:
	Transmit *output_;
};

class KernelFileEngine final : public FileEngine
{
public:
	~KernelFileEngine() override
	{
		if (loaded_)
			spare = std::move(loaded_);
	}

	Status open(const FileRun &run, MakeFragmentSender make_fragment_sender)
	{
		KernelProgramOptions options;
		TableCapacity capacity = {256, 256, 256, 256, 65536, 1024};

		options.geometry = Sessions::geometry_for(run.sessions4, run.sessions6, run.fragments);
		options.own_clock = false;
		options.sent = true;
		auto loaded = loaded_for(options, capacity);
		if (!loaded.ok())
			return loaded.status();
		loaded_ = loaded.take();
		program_ = loaded_->program.get();
		if (Status status = loaded_->memory.map(&sessions_, statistics_.get()); !status.ok())
			return status;
		scratch_fd_ = program_->object().map_fd("sh_scratch_map");
		scratch_.resize((size_t)SH_SCRATCH_BYTES * possible_processors());
		out_.resize(HEADROOM + LARGEST);
		Result<FileOutputs> outputs = open_file_outputs(run, &now_ns_);
		if (!outputs.ok())
			return outputs.status();
		outputs_ = outputs.take();
		fragment_sender_ =
			make_fragment_sender(sessions_, std::make_unique<SharedTransmit>(outputs_.out.get()));
		auto oversized = Oversized::open(program_->object().map_fd("sh_oversized"), fragment_sender_.get());
		if (!oversized.ok())
			return oversized.status();
		oversized_ = oversized.take();
		return {};
	}

	const Sessions &sessions() const override { return sessions_; }
	const std::shared_ptr<Statistics> &statistics() const override { return statistics_; }

	Status publish(const TableBlock *block) override
	{
		if (!program_->holds(*block->tables()))
			return Status::error("the tables are larger than the BPF maps of a run over a file");
		program_->publish(*block->tables());
		oversized_->publish(block->tables());
		return {};
	}

	Result<PacketOutcome> run(Batch *batch) override
	{
		sh_frame frame = batch->frames[0];
		u32 length = static_cast<u32>(frame.end - frame.data);
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data, .data_out = out_.data(),
		            .data_size_in = length, .data_size_out = (u32)out_.size(), .repeat = 1);
		const u32 zero = 0;

		now_ns_ = batch->time_ns;
		program_->set_time(now_ns_);
		if (batch->sent)
			return observe(frame, length);
		if (bpf_prog_test_run_opts(program_->fd(), &run) ||
		    bpf_map_lookup_elem(scratch_fd_, &zero, scratch_.data()))
			return Status::system("BPF_PROG_TEST_RUN over a packet of " + std::to_string(length) + " bytes",
			                      errno);
		sh_passage passage;
		memcpy(&passage, scratch_.data() + (size_t)processor_.processor() * SH_SCRATCH_BYTES, sizeof(passage));
		frame = sh_frame{out_.data(), out_.data() + run.data_size_out, out_.data()};
		if (Status status = send(frame, passage.result, run.retval); !status.ok())
			return status;
		return PacketOutcome{passage.result.reason, passage.result.target};
	}

private:
	// An egress packet is run through the egress program, which passes it on and counts what it did. A test run takes no more
	// than a page (the program reads headers only), and no frame without a whole IP header (which has no session).
	Result<PacketOutcome> observe(const sh_frame &frame, u32 length)
	{
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data, .data_size_in = std::min(length, 3072u),
		            .repeat = 1);
		SentCounters counters(statistics_->worker((u32)processor_.processor()));

		if (bpf_prog_test_run_opts(program_->sent_fd(), &run)) {
			if (errno == EINVAL && length < 14 + 40)
				return PacketOutcome{0, 0, Sent::nothing};
			return Status::system("BPF_PROG_TEST_RUN over an egress packet of " + std::to_string(length) +
			                              " bytes",
			                      errno);
		}
		if (run.retval != (u32)TC_ACT_UNSPEC)
			return Status::error("tc action " + std::to_string(run.retval) +
			                     " for an egress packet; it must be TC_ACT_UNSPEC");
		return PacketOutcome{0, 0, counters.since()};
	}

	// The XDP action must be the one of the program's verdict.
	Status send(const sh_frame &frame, const sh_result &result, u32 action)
	{
		u32 verdict = sh_verdict_of(result.reason);
		u8 failed = 0;
		bool right;

		if (result.reason == SH_R_fragmented) {
			if (action == XDP_DROP)
				oversized_->consume(now_ns_);
			right = action == XDP_DROP;
			verdict = SH_DROP; // the fragments have been written
		} else if (verdict == SH_PASS)
			right = action == XDP_PASS;
		else if (verdict == SH_DROP)
			right = action == XDP_DROP;
		else
			right = action == XDP_TX || (verdict == SH_FORWARD && action == XDP_REDIRECT);
		if (!right)
			return Status::error("XDP action " + std::to_string(action) + " for verdict " +
			                     std::to_string(verdict));
		Transmit *transmit = verdict == SH_PASS   ? (result.popped ? outputs_.inner.get() : nullptr)
		                     : verdict == SH_DROP ? nullptr
		                                          : outputs_.out.get();
		if (!transmit)
			return {};
		transmit->queue(frame, &failed);
		transmit->flush();
		return failed ? Status::error("the output file cannot be written") : Status();
	}

	OnOneProcessor processor_;
	std::unique_ptr<Loaded> loaded_;
	KernelProgram *program_ = nullptr;
	Sessions sessions_;
	std::shared_ptr<Statistics> statistics_ = std::make_shared<Statistics>();
	FileOutputs outputs_;
	std::unique_ptr<FragmentSender> fragment_sender_;
	std::unique_ptr<Oversized> oversized_;
	int scratch_fd_ = -1;
	std::vector<u8> scratch_, out_;
	u64 now_ns_ = 0;
};

} // namespace

Result<std::unique_ptr<FileEngine>> open_kernel_file_engine(const FileRun &run, MakeFragmentSender make_fragment_sender)
{
	auto engine = std::make_unique<KernelFileEngine>();

	if (Status status = engine->open(run, make_fragment_sender); !status.ok())
		return status;
	return std::unique_ptr<FileEngine>(std::move(engine));
}

} // namespace shunt
