// SPDX-License-Identifier: Apache-2.0
//
// worker.h - a thread that takes batches from a capture and runs them through a pipeline, until it is told to stop.
//
// Owns: the thread, when it waits and how it ends. Lifetime: make, start, stop (which joins), destroy.
// Must never: call into JavaScript, allocate while it runs, or crash because an interface went away.
#ifndef SHUNT_USER_WORKER_H
#define SHUNT_USER_WORKER_H

#include <atomic>
#include <functional>
#include <thread>

#include "user/pipeline.h"
#include "user/publication.h"

namespace shunt
{

class Worker
{
public:
	Worker(std::unique_ptr<Capture> capture, std::unique_ptr<Pipeline> pipeline, Publication *publication,
	       u64 *statistics, u32 spin_us, int cpu);
	~Worker();
	Worker(const Worker &) = delete;

	// `ended` is called once, on the worker's own thread, as its last act, unless stop() ended it; the sentence is empty
	// at the end of a file.
	bool start(std::function<void(const std::string &problem)> ended, std::string *problem);
	void stop();
	Pipeline &pipeline() { return *pipeline_; }
	u32 ifindex() const { return capture_->ifindex(); }

private:
	void run();
	bool wait(std::string *problem); // false: the capture has failed
	void set_state(WorkerState state) { set(word::state, (u64)state); }
	void set(u32 at, u64 value) { __atomic_store_n(&statistics_[at], value, __ATOMIC_RELAXED); }
	void note_capture();

	std::unique_ptr<Capture> capture_;
	std::unique_ptr<Pipeline> pipeline_;
	Publication *publication_;
	Publication::Reader reader_;
	u64 *statistics_;
	u32 spin_us_;
	int cpu_;
	int stop_fd_ = -1;
	std::atomic<bool> stopping_ = false;
	std::function<void(const std::string &)> ended_;
	std::thread thread_;
	Batch batch_;
};

} // namespace shunt

#endif
