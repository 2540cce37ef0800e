// SPDX-License-Identifier: Apache-2.0
//
// file_engine.cc - see the header.
#include "user/file_engine.h"

#include "user/pipeline.h"

namespace shunt
{

namespace
{

constexpr u32 LOOPBACK = 1; // where BPF_PROG_TEST_RUN has its packets come from

class UserFileEngine final : public FileEngine
{
public:
	Status open(const FileRun &run)
	{
		if (!sessions_.allocate(run.sessions4, run.sessions6, run.fragments) || !statistics_->allocate(1))
			return Status::error("out of memory for " + std::to_string(run.sessions4) + " IPv4 and " +
			                     std::to_string(run.sessions6) + " IPv6 sessions");
		pipeline_ = std::make_unique<Pipeline>(sessions_, statistics_->worker(0));
		Result<FileOutputs> outputs = open_file_outputs(run, pipeline_->clock_ns());
		if (!outputs.ok())
			return outputs.status();
		pipeline_->set_replay();
		pipeline_->set_output(std::move(outputs->out));
		pipeline_->set_inner(std::move(outputs->inner));
		statistics_->worker(0)[word::state] = (u64)WorkerState::ended;
		return {};
	}

	const Sessions &sessions() const override { return sessions_; }
	const std::shared_ptr<Statistics> &statistics() const override { return statistics_; }

	Status publish(const TableBlock *block) override
	{
		tables_ = block->tables();
		return {};
	}

	Result<PacketOutcome> run(Batch *batch) override
	{
		bool egress = batch->sent;
		SentCounters counters(statistics_->worker(0));

		pipeline_->run(batch, LOOPBACK, tables_);
		return egress ? PacketOutcome{0, 0, counters.since()}
		              : PacketOutcome{pipeline_->reason(0), pipeline_->target(0)};
	}

private:
	Sessions sessions_;
	std::shared_ptr<Statistics> statistics_ = std::make_shared<Statistics>();
	std::unique_ptr<Pipeline> pipeline_;
	const sh_tables *tables_ = nullptr;
};

} // namespace

Result<std::unique_ptr<FileEngine>> open_user_file_engine(const FileRun &run)
{
	auto engine = std::make_unique<UserFileEngine>();

	if (Status status = engine->open(run); !status.ok())
		return status;
	return std::unique_ptr<FileEngine>(std::move(engine));
}

} // namespace shunt
