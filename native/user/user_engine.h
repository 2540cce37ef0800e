// SPDX-License-Identifier: Apache-2.0
//
// user_engine.h - the user-space engine: workers that capture, run the packet program, and transmit.
//
// Owns: published tables, workers and their ways out, and the order in which they live and die.
// Must never: be called per packet.
#ifndef SHUNT_USER_USER_ENGINE_H
#define SHUNT_USER_USER_ENGINE_H

#include "engine/engine.h"
#include "user/worker.h"

namespace shunt
{

enum class CaptureKind { ring, pcap, file };

struct WorkerOptions {
	CaptureKind kind = CaptureKind::ring;
	CaptureOptions capture;
	int cpu = -1; // -1: wherever the scheduler likes
};

struct UserEngineOptions {
	u64 sessions4 = 1 << 20, sessions6 = 1 << 18, fragments = 1 << 12; // records
	std::vector<WorkerOptions> workers;
	TransmitKind transmit = TransmitKind::sendmmsg;
	bool qdisc_bypass = false;
	std::string output_file; // instead of links: every frame sent goes here; with one worker only
	int tun = -1;            // where popped packets go; the descriptor stays the caller's
	std::function<void(u32 worker, const std::string &problem)> on_end;
};

class UserEngine final : public Engine
{
public:
	// NULL, and one sentence, when an interface or memory is missing.
	static std::unique_ptr<UserEngine> create(UserEngineOptions options, std::string *problem);
	~UserEngine() override { stop(); }

	// `warnings` names the links that can't be sent on; packets to targets behind them are counted as transmit_failed.
	bool publish(const TableSpec &spec, std::string *problem, std::vector<std::string> *warnings) override;
	bool start(std::string *problem) override;
	void stop() override;
	const TableBlock *current() const override { return publication_.current(); }
	size_t retired_tables() override { return publication_.reclaim(); }

	u32 workers() const { return static_cast<u32>(options_.workers.size()); }

private:
	UserEngine() = default;
	bool open_worker(u32 i, std::string *problem);
	bool open_way(Worker &worker, u32 ifindex, std::string *problem);

	UserEngineOptions options_;
	Publication publication_;
	std::vector<std::unique_ptr<Worker>> workers_;
	bool started_ = false;
};

} // namespace shunt

#endif
