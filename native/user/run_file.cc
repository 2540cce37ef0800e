// SPDX-License-Identifier: Apache-2.0
//
// run_file.cc - see the header.
#include "user/run_file.h"

#include "datapath/parse/parse.h"
#include "engine/explain.h"
#include "user/pipeline.h"

namespace shunt
{

namespace
{

class Nowhere final : public Transmit
{
public:
	void queue(const sh_frame &, u8 *) override {}
	void flush() override {}
};

class UserFileEngine final : public FileEngine
{
public:
	bool open(const FileRun &run, std::string *problem)
	{
		FileWays ways;

		if (!sessions_.allocate(run.sessions4, run.sessions6, run.fragments) || !statistics_->allocate(1)) {
			*problem = "no memory for the session table";
			return false;
		}
		pipeline_.reset(new Pipeline(sessions_, statistics_->worker(0)));
		if (!open_file_ways(run, pipeline_->clock_ns(), &ways, problem))
			return false;
		pipeline_->play_alone();
		pipeline_->set_every_way(std::move(ways.out));
		pipeline_->set_inner_way(std::move(ways.inner));
		statistics_->worker(0)[word::state] = (u64)WorkerState::ended;
		return true;
	}

	const Sessions &sessions() const override { return sessions_; }
	const std::shared_ptr<Statistics> &statistics() const override { return statistics_; }

	bool publish(const TableBlock *block, std::string *) override
	{
		tables_ = block->tables();
		return true;
	}

	bool pass(Batch *batch, Passed *passed, std::string *) override
	{
		if (batch->sent) {
			SentCounters counters(statistics_->worker(0));

			pipeline_->run(batch, 0, tables_);
			*passed = {0, 0, counters.since()};
			return true;
		}
		pipeline_->run(batch, 0, tables_);
		*passed = {pipeline_->reason(0), pipeline_->target(0)};
		return true;
	}

private:
	Sessions sessions_;
	std::shared_ptr<Statistics> statistics_ = std::make_shared<Statistics>();
	std::unique_ptr<Pipeline> pipeline_;
	const sh_tables *tables_ = nullptr;
};

std::unique_ptr<Transmit> way_to(const std::string &file, const u64 *clock_ns, std::string *problem)
{
	if (file.empty())
		return std::unique_ptr<Transmit>(new Nowhere);
	return open_file_transmit(file, clock_ns, problem);
}

// The flow is the one that the packet program's own parser finds.
void explain_packet(const sh_tables *tables, const Sessions &sessions, const Batch &batch, FileRunResult *result)
{
	const sh_frame &frame = batch.frames[0];
	u8 reason = FileRunResult::NOT_EXPLAINED;
	sh_parsed parsed = {};
	u16 target = 0;

	if (!batch.sent && sh_parse_link(&frame, &parsed) == SH_CONTINUE && sh_parse_ip(&frame, &parsed) == SH_CONTINUE &&
	    sh_parse_transport(&frame, &parsed) == SH_CONTINUE && parsed.fragmentation != SH_FRAGMENT_LATER &&
	    !parsed.icmp_error) {
		Explanation explanation = explain(tables, sessions, parsed.flow, batch.time_ns);

		reason = explanation.reason;
		target = explanation.target;
	}
	result->explained_reasons.push_back(reason);
	result->explained_targets.push_back(target);
}

} // namespace

bool open_file_ways(const FileRun &run, const u64 *clock_ns, FileWays *ways, std::string *problem)
{
	ways->out = way_to(run.output, clock_ns, problem);
	ways->inner = way_to(run.inner, clock_ns, problem);
	return ways->out && ways->inner;
}

std::unique_ptr<FileEngine> open_user_file_engine(const FileRun &run, std::string *problem)
{
	std::unique_ptr<UserFileEngine> engine(new UserFileEngine);

	if (!engine->open(run, problem))
		return nullptr;
	return engine;
}

bool run_file(const FileRun &run, FileEngine *engine, FileRunResult *result, std::string *problem)
{
	CaptureOptions capture_options;

	capture_options.file = run.input;
	std::unique_ptr<Capture> capture = open_file_capture(capture_options, problem);
	if (!capture)
		return false;
	std::vector<std::unique_ptr<TableBlock>> blocks;
	for (const FileRun::Step &step : run.steps) {
		blocks.push_back(TableBlock::build(step.tables, engine->sessions().geometry(), problem));
		if (!blocks.back())
			return false;
	}

	std::unique_ptr<Batch> batch(new Batch);
	size_t step = 0, sent = 0;
	u64 now_ns = 0;
	for (u64 index = 0;; index++) {
		Taken taken = capture->take(batch.get());
		Passed passed;

		if (taken == Taken::ended)
			break;
		if (taken != Taken::packets) {
			*problem = capture->problem();
			return false;
		}
		for (; step < run.steps.size() && run.steps[step].at <= index; step++)
			if (!engine->publish(blocks[step].get(), problem))
				return false;
		now_ns = batch->time_ns;
		bool own = sent < run.sent.size() && run.sent[sent] == index;
		if (own) {
			batch->sent = 1;
			sent++;
		}
		if (run.explain)
			explain_packet(step ? blocks[step - 1]->tables() : nullptr, engine->sessions(), *batch, result);
		if (!engine->pass(batch.get(), &passed, problem))
			return false;
		result->reasons.push_back(own ? (u8)(FileRunResult::SENT + (u8)passed.sent) : passed.reason);
		result->targets.push_back(passed.target);
	}
	u64 from = 0;
	result->statistics = engine->statistics();
	result->sessions =
		list_sessions(engine->sessions(), SessionFilter(), ~0ull, (u32)(now_ns >> SH_TICK_SHIFT), &from);
	return true;
}

} // namespace shunt
