// SPDX-License-Identifier: Apache-2.0
//
// user_engine.cc - see the header.
#include "user/user_engine.h"

namespace shunt
{

Result<std::unique_ptr<UserEngine>> UserEngine::create(UserEngineOptions options)
{
	std::unique_ptr<UserEngine> engine(new UserEngine);

	engine->options_ = std::move(options);
	if (Status status = engine->open(); !status.ok())
		return status;
	return engine;
}

Status UserEngine::open()
{
	const UserEngineOptions &o = options_;

	if (o.workers.empty())
		return Status::error("workers: an engine needs at least one");
	if (!o.output_file.empty() && o.workers.size() > 1)
		return Status::error("outputFile: " + o.output_file + " takes the packets of one worker, not of " +
		                     std::to_string(o.workers.size()));
	if (!sessions_.allocate(o.sessions4, o.sessions6, o.fragments, true) || !statistics_->allocate(workers()))
		return Status::error("out of memory for " + std::to_string(o.sessions4) + " IPv4 and " +
		                     std::to_string(o.sessions6) + " IPv6 sessions");
	for (u32 i = 0; i < workers(); i++)
		if (Status status = open_worker(i); !status.ok())
			return status;
	return {};
}

Status UserEngine::open_worker(u32 i)
{
	const WorkerOptions &o = options_.workers[i];
	u64 *statistics = statistics_->worker(i);
	auto capture = o.file.empty() ? open_pcap_capture(o.capture) : open_file_capture(o.file);

	if (!capture.ok())
		return capture.status();
	auto pipeline = std::make_unique<Pipeline>(sessions_, statistics);
	if (!options_.output_file.empty()) {
		auto output = open_file_transmit(options_.output_file, pipeline->clock_ns());
		if (!output.ok())
			return output.status();
		pipeline->set_output(output.take());
	}
	if (options_.tun >= 0)
		pipeline->set_inner(open_tun_transmit(options_.tun));
	workers_.push_back(std::make_unique<Worker>(capture.take(), std::move(pipeline), &publication_, statistics,
	                                            o.capture.busy_poll_us, o.cpu));
	u32 from = workers_.back()->ifindex();
	return from ? open_link(*workers_.back(), from) : Status();
}

Status UserEngine::open_link(Worker &worker, u32 ifindex)
{
	if (worker.pipeline().has_link(ifindex))
		return {};
	auto transmit = open_transmit(options_.transmit, ifindex, options_.qdisc_bypass);
	if (!transmit.ok())
		return transmit.status();
	if (!worker.pipeline().add_link(ifindex, transmit.take()))
		return Status::error("targets are reached over more than " + std::to_string(LINKS) + " interfaces");
	return {};
}

Result<std::unique_ptr<PreparedTables>> UserEngine::prepare(const TableSpec &spec)
{
	auto built = TableBlock::build(spec, sessions_.geometry());

	if (!built.ok())
		return built.status();
	auto prepared = std::make_unique<PreparedTables>();
	prepared->block = built.take();
	return prepared;
}

Status UserEngine::commit(std::unique_ptr<PreparedTables> tables, std::vector<std::string> *warnings)
{
	for (u32 link : tables->block->links())
		for (auto &worker : workers_)
			if (Status status = open_link(*worker, link); !status.ok()) {
				warnings->push_back(status.message());
				break; // it is the same for the next worker
			}
	publication_.publish(std::move(tables->block));
	return {};
}

Status UserEngine::start()
{
	if (started_)
		return Status::error("the engine has been started before; make a new one");
	started_ = true;
	for (u32 i = 0; i < workers_.size(); i++) {
		auto ended = [this, i](const Status &status) {
			if (options_.on_end)
				options_.on_end(i, status);
		};
		if (Status status = workers_[i]->start(ended); !status.ok()) {
			stop();
			return status;
		}
	}
	return {};
}

void UserEngine::stop()
{
	for (auto &worker : workers_)
		worker->stop();
}

} // namespace shunt
