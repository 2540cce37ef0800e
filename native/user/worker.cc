// SPDX-License-Identifier: Apache-2.0
//
// worker.cc - see the header.
#include "user/worker.h"

#include <cerrno>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "user/link.h"

namespace shunt
{

constexpr int WAIT_MS = 100;             // so that drops and sets of tables are looked after when nothing comes
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
	if (stop_fd_ >= 0)
		close(stop_fd_);
}

bool Worker::start(std::function<void(const std::string &)> ended, std::string *problem)
{
	sigset_t all, before;

	stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd_ < 0) {
		*problem = system_problem("eventfd", errno);
		return false;
	}
	ended_ = std::move(ended);
	// Signals are Node's business: a worker inherits a mask that blocks them all.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread_ = std::thread([this] { run(); });
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	pthread_setname_np(thread_.native_handle(), "shunt-worker");
	if (cpu_ >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu_, &set);
		pthread_setaffinity_np(thread_.native_handle(), sizeof(set), &set); // a wish
	}
	return true;
}

void Worker::stop()
{
	u64 one = 1;

	if (!thread_.joinable())
		return;
	stopping_.store(true, std::memory_order_release);
	while (write(stop_fd_, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	thread_.join();
}

void Worker::note_capture()
{
	set(word::capture_dropped, capture_->dropped());
	set(word::not_for_us, capture_->not_for_us());
}

bool Worker::wait(std::string *problem)
{
	struct pollfd waits[2] = {{capture_->fd(), POLLIN, 0}, {stop_fd_, POLLIN, 0}};

	statistics_[word::waits]++;
	note_capture();
	bool quiet = poll(waits, 2, WAIT_MS) == 0;
	bool error = waits[0].revents & (POLLERR | POLLHUP | POLLNVAL);

	// The kernel tells once that a link went, and whoever reads the socket first hears it: so silence is looked into too.
	if (!error && !quiet)
		return true;
	if (capture_->check() == Taken::failed) {
		*problem = capture_->problem();
		return false;
	}
	statistics_[word::link_down] += error;
	return true;
}

void Worker::run()
{
	std::string problem;
	bool failed = false;
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
			problem = capture_->problem();
			failed = true;
			break;
		}
		if (spin_us_) {
			u64 now = monotonic_ns();

			idle_since = idle_since ? idle_since : now;
			if (now - idle_since < (u64)spin_us_ * 1000)
				continue;
		}
		if (!wait(&problem)) {
			failed = true;
			break;
		}
	}
	reader_.leave();
	note_capture();
	set_state(failed ? WorkerState::failed : WorkerState::ended);
	if (!stopping_.load(std::memory_order_acquire) && ended_)
		ended_(problem);
}

} // namespace shunt
