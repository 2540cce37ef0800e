// SPDX-License-Identifier: Apache-2.0
//
// run_file.cc - see the header.
#include "engine/run_file.h"

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

std::unique_ptr<Transmit> way_to(const std::string &file, FileLinktype linktype, const u64 *clock_ns,
				 std::string *problem)
{
	if (file.empty())
		return std::unique_ptr<Transmit>(new Nowhere);
	return open_file_transmit(file, linktype, clock_ns, problem);
}

} // namespace

bool run_file(const FileRun &run, FileRunResult *result, std::string *problem)
{
	CaptureOptions capture_options;
	Sessions sessions;

	capture_options.file = run.input;
	result->statistics = std::make_shared<Statistics>();
	if (!sessions.allocate(run.sessions4, run.sessions6, run.fragments) || !result->statistics->allocate(1)) {
		*problem = "no memory for the session table";
		return false;
	}
	std::unique_ptr<Capture> capture = open_file_capture(capture_options, problem);
	if (!capture)
		return false;
	std::vector<std::unique_ptr<TableBlock>> blocks;
	for (const FileRun::Step &step : run.steps) {
		blocks.push_back(TableBlock::build(step.tables, sessions.geometry(), problem));
		if (!blocks.back())
			return false;
	}
	std::unique_ptr<Pipeline> pipeline(new Pipeline(sessions, result->statistics->worker(0)));
	std::unique_ptr<Transmit> out = way_to(run.output, FileLinktype::ethernet, pipeline->clock_ns(), problem);
	std::unique_ptr<Transmit> inner = way_to(run.inner, FileLinktype::raw_ip, pipeline->clock_ns(), problem);
	if (!out || !inner)
		return false;
	pipeline->set_every_way(std::move(out));
	pipeline->set_inner_way(std::move(inner));

	std::unique_ptr<Batch> batch(new Batch);
	u64 *counters = result->statistics->worker(0);
	size_t step = 0;
	const sh_tables *tables = nullptr;
	for (u64 index = 0;; index++) {
		Taken taken = capture->take(batch.get());

		if (taken == Taken::ended)
			break;
		if (taken != Taken::packets) {
			*problem = capture->problem();
			return false;
		}
		while (step < run.steps.size() && run.steps[step].at <= index)
			tables = blocks[step++]->tables();
		pipeline->run(batch.get(), 0, tables);
		result->reasons.push_back(pipeline->reason(0));
	}
	counters[word::state] = (u64)WorkerState::ended;
	u64 from = 0;
	result->sessions = list_sessions(sessions, SessionFilter(), ~0ull, (u32)(*pipeline->clock_ns() >> SH_TICK_SHIFT), &from);
	return true;
}

} // namespace shunt
