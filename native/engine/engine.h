// SPDX-License-Identifier: Apache-2.0
//
// engine.h - the user-space engine as the control side holds it.
//
// Owns: sessions, statistics, published tables, workers and their ways out, and the order in which they live and die.
// All calls come from one thread (JavaScript's).
// Must never: be called per packet.
#ifndef SHUNT_ENGINE_ENGINE_H
#define SHUNT_ENGINE_ENGINE_H

#include "engine/explain.h"
#include "engine/worker.h"

namespace shunt
{

enum class CaptureKind { ring, pcap, file };

struct WorkerOptions {
	CaptureKind kind = CaptureKind::ring;
	CaptureOptions capture;
	int cpu = -1; // -1: wherever the scheduler likes
};

struct EngineOptions {
	u64 sessions4 = 1 << 20, sessions6 = 1 << 18, fragments = 1 << 12; // records
	std::vector<WorkerOptions> workers;
	TransmitKind transmit = TransmitKind::sendmmsg;
	bool qdisc_bypass = false;
	std::string output_file; // instead of links: every frame sent goes here; with one worker only
	int tun = -1;            // where popped packets go; the descriptor stays the caller's
	std::function<void(u32 worker, const std::string &problem)> on_end;
};

class Engine
{
public:
	// NULL, and one sentence, when an interface or memory is missing.
	static std::unique_ptr<Engine> create(EngineOptions options, std::string *problem);
	~Engine() { stop(); }

	// False when the tables contradict themselves; then the old ones stay in force. `warnings` names the links that
	// can't be sent on; packets to targets behind them are counted as transmit_failed.
	bool publish(const TableSpec &spec, std::string *problem, std::vector<std::string> *warnings);
	bool start(std::string *problem);
	void stop();

	const Sessions &sessions() const { return sessions_; }
	const std::shared_ptr<Statistics> &statistics() const { return statistics_; }
	u32 workers() const { return static_cast<u32>(options_.workers.size()); }
	const sh_tables *tables() const;
	SweepResult sweep_slice(u64 from, u64 count);
	// Of the last complete pass.
	const SessionCounts &counts() const { return counts_; }
	size_t retired_tables() { return publication_.reclaim(); }
	u32 now_tick() const { return (u32)(monotonic_ns() >> SH_TICK_SHIFT); }

private:
	Engine() = default;
	bool open_worker(u32 i, std::string *problem);
	bool open_way(Worker &worker, u32 ifindex, std::string *problem);

	EngineOptions options_;
	Sessions sessions_;
	std::shared_ptr<Statistics> statistics_;
	Publication publication_;
	std::vector<std::unique_ptr<Worker>> workers_;
	SessionCounts counting_; // the pass in hand
	SessionCounts counts_;
	bool started_ = false;
};

} // namespace shunt

#endif
