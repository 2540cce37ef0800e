// SPDX-License-Identifier: Apache-2.0
//
// user_engine.h - the user-space engine: workers that capture, run the packet program, and transmit.
//
// Owns: published tables, workers and their transmits, and the order in which they start and end.
// Must never: be called per packet.
#ifndef SHUNT_USER_USER_ENGINE_H
#define SHUNT_USER_USER_ENGINE_H

#include "engine/engine.h"
#include "user/capture.h"
#include "user/transmit.h"
#include "user/worker.h"

namespace shunt
{

struct WorkerOptions {
	CaptureOptions capture;
	std::string file; // a pcap file in place of capture.interface
	int cpu = -1;     // -1: not pinned
};

struct UserEngineOptions {
	u64 sessions4 = 1 << 20, sessions6 = 1 << 18, fragments = 1 << 12; // records
	std::vector<WorkerOptions> workers;
	TransmitKind transmit = TransmitKind::sendmmsg;
	bool qdisc_bypass = false;
	std::string output_file; // a pcap file in place of every link; with one worker only
	int tun = -1;            // device of decapsulated packets; the descriptor stays the caller's
	std::function<void(u32 worker, const Status &status)> on_end; // ok: the file is at its end
};

class UserEngine final : public Engine
{
public:
	// Fails if an interface or memory is missing.
	static Result<std::unique_ptr<UserEngine>> create(UserEngineOptions options);
	~UserEngine() override { stop(); }

	// `warnings` names the links that can't be opened; packets to targets behind them are counted as transmit_failed.
	Result<std::unique_ptr<PreparedTables>> prepare(const TableSpec &spec) override;
	Status commit(std::unique_ptr<PreparedTables> tables, std::vector<std::string> *warnings) override;
	Status start() override;
	void stop() override;
	const TableBlock *current() const override { return publication_.current(); }
	size_t retired_tables() override { return publication_.reclaim(); }

	u32 workers() const { return static_cast<u32>(options_.workers.size()); }

private:
	UserEngine() = default;
	Status open();
	Status open_worker(u32 i);
	Status open_link(Worker &worker, u32 ifindex);

	UserEngineOptions options_;
	Publication publication_;
	std::vector<std::unique_ptr<Worker>> workers_;
	bool started_ = false;
};

} // namespace shunt

#endif
