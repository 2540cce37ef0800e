// SPDX-License-Identifier: Apache-2.0
//
// user_engine.cc - see the header.
#include "user/user_engine.h"

namespace shunt
{

static std::unique_ptr<Capture> open_capture(const WorkerOptions &worker, std::string *problem)
{
	switch (worker.kind) {
	case CaptureKind::ring:
		return open_ring_capture(worker.capture, problem);
	case CaptureKind::pcap:
		return open_pcap_capture(worker.capture, problem);
	case CaptureKind::file:
		return open_file_capture(worker.capture, problem);
	}
	return nullptr;
}

std::unique_ptr<UserEngine> UserEngine::create(UserEngineOptions options, std::string *problem)
{
	std::unique_ptr<UserEngine> engine(new UserEngine);

	engine->options_ = std::move(options);
	const UserEngineOptions &o = engine->options_;
	if (o.workers.empty()) {
		*problem = "an engine needs at least one worker";
		return nullptr;
	}
	if (!o.output_file.empty() && o.workers.size() > 1) {
		*problem = "only one worker can write to " + o.output_file;
		return nullptr;
	}
	if (!engine->sessions_.allocate(o.sessions4, o.sessions6, o.fragments, true) ||
	    !engine->statistics_->allocate(engine->workers())) {
		*problem = "no memory for " + std::to_string(o.sessions4) + " and " + std::to_string(o.sessions6) +
		           " sessions";
		return nullptr;
	}
	for (u32 i = 0; i < engine->workers(); i++)
		if (!engine->open_worker(i, problem))
			return nullptr;
	return engine;
}

bool UserEngine::open_worker(u32 i, std::string *problem)
{
	const WorkerOptions &o = options_.workers[i];
	u64 *statistics = statistics_->worker(i);
	std::unique_ptr<Capture> capture = open_capture(o, problem);

	if (!capture)
		return false;
	std::unique_ptr<Pipeline> pipeline(new Pipeline(sessions_, statistics));
	if (!options_.output_file.empty()) {
		auto way = open_file_transmit(options_.output_file, pipeline->clock_ns(), problem);
		if (!way)
			return false;
		pipeline->set_every_way(std::move(way));
	}
	if (options_.tun >= 0)
		pipeline->set_inner_way(open_tun_transmit(options_.tun));
	u32 from = capture->ifindex();
	workers_.emplace_back(new Worker(std::move(capture), std::move(pipeline), &publication_, statistics,
	                                 o.capture.busy_poll_us, o.cpu));
	return !from || open_way(*workers_.back(), from, problem);
}

bool UserEngine::open_way(Worker &worker, u32 ifindex, std::string *problem)
{
	if (worker.pipeline().has_way(ifindex))
		return true;
	std::unique_ptr<Transmit> way = open_transmit(options_.transmit, ifindex, options_.qdisc_bypass, problem);
	if (!way)
		return false;
	if (worker.pipeline().add_way(ifindex, std::move(way)))
		return true;
	*problem = "targets are reached by more than " + std::to_string(WAYS) + " interfaces";
	return false;
}

bool UserEngine::publish(const TableSpec &spec, std::string *problem, std::vector<std::string> *warnings)
{
	Result<std::unique_ptr<TableBlock>> built = TableBlock::build(spec, sessions_.geometry());

	if (!built.ok()) {
		*problem = built.status().message();
		return false;
	}
	std::unique_ptr<TableBlock> block = built.take();
	for (u32 link : block->links()) {
		std::string why;

		for (auto &worker : workers_)
			if (!open_way(*worker, link, &why)) {
				warnings->push_back(why);
				break; // the next worker would meet the same
			}
	}
	publication_.publish(std::move(block));
	return true;
}

bool UserEngine::start(std::string *problem)
{
	if (started_) {
		*problem = "an engine can be started once";
		return false;
	}
	started_ = true;
	for (u32 i = 0; i < workers_.size(); i++) {
		auto ended = [this, i](const std::string &why) {
			if (options_.on_end)
				options_.on_end(i, why);
		};
		if (!workers_[i]->start(ended, problem)) {
			stop();
			return false;
		}
	}
	return true;
}

void UserEngine::stop()
{
	for (auto &worker : workers_)
		worker->stop();
}

} // namespace shunt
