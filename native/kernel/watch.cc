// SPDX-License-Identifier: Apache-2.0
//
// watch.cc - see the header.
#include "kernel/watch.h"

#include <sys/stat.h>

#include "kernel/bpf/watch.h"
#include <watch.skel.h> // made by kernel/bpf/build

namespace shunt
{

Result<std::unique_ptr<Watch>> Watch::start(int counters_fd, u32 counters, u32 program, const std::vector<u32> &links)
{
	std::unique_ptr<Watch> watch(new Watch);
	struct stat net;

	if (Status status = watch->open(counters_fd); !status.ok())
		return status;
	sh_watch *state = reinterpret_cast<sh_watch *>(watch->state_.data());
	state->counters = counters;
	state->program = program;
	state->net = stat("/proc/self/ns/net", &net) == 0 ? (u32)net.st_ino : 0;
	for (size_t i = 0; i < links.size() && i < SH_WATCHED; i++)
		state->links[i] = links[i];
	for (const char *name : {"sh_watch_redirect", "sh_watch_tx", "sh_watch_nowhere", "sh_watch_exception"}) {
		Result<BpfLink> link = watch->object_->attach(name);

		if (!link.ok())
			return link.status();
		watch->links_.push_back(link.take());
	}
	return watch;
}

Status Watch::open(int counters_fd)
{
	size_t size;
	const void *bytes = watch_bpf::elf_bytes(&size);
	auto object = Object::open(bytes, size, "watch");

	if (!object.ok())
		return object.status();
	object_ = object.take();
	Status status = object_->share("sh_counters", counters_fd);
	if (status.ok())
		status = object_->load();
	if (!status.ok())
		return status;
	Result<Mapping> state = object_->map(".data.watch");
	if (!state.ok())
		return state.status();
	state_ = state.take();
	return {};
}

void Watch::set_program(u32 program)
{
	__atomic_store_n(&reinterpret_cast<sh_watch *>(state_.data())->program, program, __ATOMIC_RELAXED);
}

} // namespace shunt
