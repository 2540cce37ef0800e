// SPDX-License-Identifier: Apache-2.0
//
// watch.cc - see the header.
#include "kernel/watch.h"

#include <cerrno>
#include <sys/stat.h>

#include <bpf/libbpf.h>

#include "kernel/bpf/watch.h"
#include <watch.skel.h> // made by kernel/bpf/build

namespace shunt
{

std::unique_ptr<Watch> Watch::start(int counters_fd, u32 counters, u32 program, const std::vector<u32> &links,
                                    std::string *problem)
{
	std::unique_ptr<Watch> watch(new Watch);
	struct stat net;
	size_t size;
	const void *bytes = watch_bpf::elf_bytes(&size);

	watch->object_ = Object::open(bytes, size, "watch", problem);
	Object *object = watch->object_.get();
	if (!object || !object->share("sh_counters", counters_fd, problem) || !object->load(problem) ||
	    !object->map(".data.watch", &watch->state_, problem))
		return nullptr;
	sh_watch *state = reinterpret_cast<sh_watch *>(watch->state_.data());
	state->counters = counters;
	state->program = program;
	state->net = stat("/proc/self/ns/net", &net) == 0 ? (u32)net.st_ino : 0;
	for (size_t i = 0; i < links.size() && i < SH_WATCHED; i++)
		state->links[i] = links[i];
	for (const char *name : {"sh_watch_redirect", "sh_watch_tx", "sh_watch_nowhere", "sh_watch_exception"}) {
		bpf_link *link = object->attach(name, problem);

		if (!link)
			return nullptr;
		watch->links_.push_back(link);
	}
	return watch;
}

void Watch::set_program(u32 program)
{
	__atomic_store_n(&reinterpret_cast<sh_watch *>(state_.data())->program, program, __ATOMIC_RELAXED);
}

Watch::~Watch()
{
	for (bpf_link *link : links_)
		bpf_link__destroy(link);
}

} // namespace shunt
