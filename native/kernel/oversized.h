// SPDX-License-Identifier: Apache-2.0
//
// oversized.h - datagrams that the kernel's packet program hands to the daemon to be sent in fragments (datapath/oversize.h).
//
// Owns: the buffers of one program's map sh_oversized, a page group for each processor, and the thread that reads them. While
// they exist, the program hands over; without them (the daemon is dead) it answers by packet-too-big.
// Must never: wait for anything but the buffers, or hold the program's maps beyond its own life.
#ifndef SHUNT_KERNEL_OVERSIZED_H
#define SHUNT_KERNEL_OVERSIZED_H

#include <atomic>
#include <mutex>
#include <thread>

#include "engine/fragment_sender.h"

struct perf_buffer;

namespace shunt
{

class Oversized
{
public:
	// `sender` must outlive it.
	static Result<std::unique_ptr<Oversized>> open(int map_fd, FragmentSender *sender);
	~Oversized();
	Oversized(const Oversized &) = delete;

	// Datagrams are sent by these tables from now on; when it returns, the earlier ones are no longer read.
	void publish(const sh_tables *tables);
	// Sends what is there, as of a time of the caller's.
	void consume(u64 now_ns);
	// Sends whatever comes, in a thread of its own.
	void start();

private:
	Oversized() = default;
	static void on_sample(void *self, int cpu, void *data, u32 size);

	perf_buffer *buffers_ = nullptr;
	FragmentSender *sender_ = nullptr;
	std::mutex lock_; // over tables_ and the sender
	const sh_tables *tables_ = nullptr;
	u64 now_ns_ = 0;
	std::atomic<bool> stopping_ = false;
	std::thread thread_;
};

} // namespace shunt

#endif
