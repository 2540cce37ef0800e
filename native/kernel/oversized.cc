// SPDX-License-Identifier: Apache-2.0
//
// oversized.cc - see the header.
#include "kernel/oversized.h"

#include <cerrno>
#include <cstring>
#include <pthread.h>
#include <signal.h>

#include <bpf/libbpf.h>

#include "kernel/bpf/state.h"

namespace shunt
{

constexpr size_t PAGES = 64; // of each processor's buffer: 256 KiB, some 150 datagrams
constexpr int WAIT_MS = 100; // until an idle thread looks whether it is to end

Result<std::unique_ptr<Oversized>> Oversized::open(int map_fd, FragmentSender *sender)
{
	std::unique_ptr<Oversized> made(new Oversized);

	made->sender_ = sender;
	made->buffers_ = perf_buffer__new(map_fd, PAGES, on_sample, nullptr, made.get(), nullptr);
	if (!made->buffers_)
		return Status::system("the buffers of datagrams to be fragmented cannot be made", errno);
	return made;
}

Oversized::~Oversized()
{
	stopping_.store(true, std::memory_order_release);
	if (thread_.joinable())
		thread_.join();
	perf_buffer__free(buffers_);
}

void Oversized::on_sample(void *self, int, void *data, u32 size)
{
	Oversized *one = static_cast<Oversized *>(self);
	sh_handed_over head;

	if (size < sizeof(head))
		return;
	memcpy(&head, data, sizeof(head));
	if (size - sizeof(head) < head.length) // a sample may be longer: it is padded
		return;
	std::lock_guard<std::mutex> held(one->lock_);
	if (one->tables_)
		one->sender_->send(static_cast<u8 *>(data) + sizeof(head), head.length, (u16)head.target, one->tables_,
		                   one->now_ns_);
}

void Oversized::publish(const sh_tables *tables)
{
	std::lock_guard<std::mutex> held(lock_);

	tables_ = tables;
}

void Oversized::consume(u64 now_ns)
{
	now_ns_ = now_ns;
	perf_buffer__consume(buffers_);
}

void Oversized::start()
{
	sigset_t all, before;

	// Node handles signals: this thread inherits a mask that blocks them all.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread_ = std::thread([this] {
		while (!stopping_.load(std::memory_order_acquire))
			perf_buffer__poll(buffers_, WAIT_MS);
	});
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	pthread_setname_np(thread_.native_handle(), "shunt-fragments");
}

} // namespace shunt
