// SPDX-License-Identifier: Apache-2.0
//
// worker.cc - see the header.
#include "user/worker.h"

#include <cerrno>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "linux/clock.h"

namespace shunt
{

constexpr int WAIT_MS = 100;             // an idle worker still notes drops and lets go of old tables
constexpr u64 NOTE_EVERY_BATCHES = 1024; // the kernel's drop counter costs a system call

Worker::Worker(std::unique_ptr<Capture> capture, std::unique_ptr<Pipeline> pipeline, Publication *publication,
               u64 *statistics, u32 spin_us, int cpu)
    : capture_(std::move(capture)), pipeline_(std::move(pipeline)), publication_(publication), statistics_(statistics),
      spin_us_(spin_us), cpu_(cpu)
{
	publication_->add_reader(&reader_);
}

Worker::~Worker()
{
	stop();
}

Status Worker::start(std::function<void(const Status &)> ended)
{
	sigset_t all, before;

	stop_event_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (!stop_event_.is_open())
		return Status::system("eventfd", errno);
	polled_.assign(1, {stop_event_.get(), POLLIN, 0});
	for (int fd : capture_->fds())
		polled_.push_back({fd, POLLIN, 0});
	ended_ = std::move(ended);
	// Node handles signals: a worker inherits a mask that blocks them all.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread_ = std::thread([this] { run(); });
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	pthread_setname_np(thread_.native_handle(), "shunt-worker");
	if (cpu_ >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu_, &set);
		pthread_setaffinity_np(thread_.native_handle(), sizeof(set), &set); // best effort
	}
	return {};
}

void Worker::stop()
{
	u64 one = 1;

	if (!thread_.joinable())
		return;
	stopping_.store(true, std::memory_order_release);
	while (write(stop_event_.get(), &one, sizeof(one)) < 0 && errno == EINTR)
		;
	thread_.join();
}

void Worker::note_capture()
{
	set(word::capture_dropped, capture_->dropped());
	set(word::not_for_us, capture_->not_for_us());
}

Status Worker::wait()
{
	statistics_[word::waits]++;
	note_capture();
	bool quiet = poll(polled_.data(), polled_.size(), WAIT_MS) == 0;
	bool error = false;
	for (size_t i = 1; i < polled_.size(); i++)
		error |= (polled_[i].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;

	// A socket reports the end of its link once, to its first reader; so the link is also checked after a quiet interval.
	if (!error && !quiet)
		return {};
	if (capture_->check() == Taken::failed)
		return capture_->problem();
	statistics_[word::link_down] += error;
	return {};
}

void Worker::run()
{
	Status status;
	u64 idle_since = 0;
	u64 batches = 0;

	set_state(WorkerState::running);
	while (!stopping_.load(std::memory_order_acquire)) {
		Taken taken = capture_->take(&batch_);

		if (taken == Taken::packets) {
			pipeline_->run(&batch_, capture_->ifindex(), reader_.enter(*publication_));
			idle_since = 0;
			if (++batches % NOTE_EVERY_BATCHES == 0)
				note_capture();
			continue;
		}
		reader_.leave();
		if (taken == Taken::ended)
			break;
		if (taken == Taken::failed) {
			status = capture_->problem();
			break;
		}
		if (spin_us_) {
			u64 now = monotonic_ns();

			idle_since = idle_since ? idle_since : now;
			if (now - idle_since < (u64)spin_us_ * 1000)
				continue;
		}
		status = wait();
		if (!status.ok())
			break;
	}
	reader_.leave();
	note_capture();
	set_state(status.ok() ? WorkerState::ended : WorkerState::failed);
	if (!stopping_.load(std::memory_order_acquire) && ended_)
		ended_(status);
}

} // namespace shunt
