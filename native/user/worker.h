// SPDX-License-Identifier: Apache-2.0
//
// worker.h - a thread that takes batches from a capture and runs them through a pipeline, until it is stopped.
//
// Owns: the thread, when it waits and how it ends. Lifetime: make, start, stop (which joins), destroy.
// Must never: call into JavaScript, allocate while it runs, or crash because an interface is gone.
#ifndef SHUNT_USER_WORKER_H
#define SHUNT_USER_WORKER_H

#include <atomic>
#include <functional>
#include <poll.h>
#include <thread>
#include <vector>

#include "engine/capture.h"
#include "linux/descriptor.h"
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

	// `ended` is called once, on the worker's own thread, as its last act, unless stop() ended it; its argument is ok at the
	// end of a file.
	Status start(std::function<void(const Status &)> ended);
	void stop();
	Pipeline &pipeline() { return *pipeline_; }
	u32 ifindex() const { return capture_->ifindex(); }

private:
	void run();
	Status wait(); // fails if the capture has failed
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
	Descriptor stop_event_;
	std::vector<pollfd> polled_; // stop_event_, then the capture's
	std::atomic<bool> stopping_ = false;
	std::function<void(const Status &)> ended_;
	std::thread thread_;
	Batch batch_;
};

} // namespace shunt

#endif
