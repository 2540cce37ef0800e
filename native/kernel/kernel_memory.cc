// SPDX-License-Identifier: Apache-2.0
//
// kernel_memory.cc - see the header.
#include "kernel/kernel_memory.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf/state.h"

namespace shunt
{

const char *const KernelMemory::names_[MAPS] = {"sh_sessions4", "sh_sessions6", "sh_fragments", "sh_counters"};

static std::string pin_of(const std::string &pins, const char *name)
{
	return pins + "/" + name + "-" + std::to_string(SH_LAYOUT);
}

u32 possible_processors()
{
	int count = libbpf_num_possible_cpus();

	return count < 1 ? 1 : (u32)count;
}

KernelMemory::~KernelMemory()
{
	for (int fd : fds_)
		if (fd >= 0)
			close(fd);
}

bool KernelMemory::measure()
{
	u32 entries[MAPS], bytes[MAPS];
	const u32 wanted[MAPS] = {sizeof(sh_bucket4), sizeof(sh_bucket6), sizeof(sh_fragment), sizeof(sh_counter)};

	for (int i = 0; i < MAPS; i++)
		if (fds_[i] < 0 || !map_bytes(fds_[i], &entries[i], &bytes[i]) || bytes[i] != wanted[i])
			return false;
	for (int i = 0; i < 3; i++)
		if (entries[i] & (entries[i] - 1))
			return false;
	if (entries[3] % possible_processors())
		return false;
	geometry_ = SessionGeometry{entries[0], entries[1], entries[2]};
	counters_ = entries[3] / possible_processors();
	return counters_ > SH_COUNT_TARGET;
}

bool KernelMemory::adopt(const std::string &pins)
{
	for (int i = 0; i < MAPS; i++)
		fds_[i] = bpf_obj_get(pin_of(pins, names_[i]).c_str());
	if (measure())
		return true;
	for (int &fd : fds_) {
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	return false;
}

bool KernelMemory::prepare(Object *object, const SessionGeometry &geometry, u32 targets, std::string *problem) const
{
	if (there()) {
		for (int i = 0; i < MAPS; i++)
			if (!object->share(names_[i], fds_[i], problem))
				return false;
		return true;
	}
	return object->size(names_[0], geometry.buckets4, problem) &&
	       object->size(names_[1], geometry.buckets6, problem) &&
	       object->size(names_[2], geometry.fragments, problem) &&
	       object->size(names_[3], (u64)SH_COUNTERS(std::max(targets, 1u)) * possible_processors(), problem);
}

bool KernelMemory::take(const Object &object, std::string *problem)
{
	if (there())
		return true;
	for (int i = 0; i < MAPS; i++)
		fds_[i] = fcntl(object.map_fd(names_[i]), F_DUPFD_CLOEXEC, 0);
	if (measure())
		return true;
	*problem = "the kernel's maps are not as they were asked for";
	return false;
}

bool KernelMemory::pin(const std::string &pins, std::string *problem) const
{
	for (int i = 0; i < MAPS; i++) {
		std::string path = pin_of(pins, names_[i]);

		// A pin of the same map is as good; one of another map is one that could not be adopted.
		unlink(path.c_str());
		if (bpf_obj_pin(fds_[i], path.c_str())) {
			*problem = kernel_problem(path + " can't be pinned", errno);
			return false;
		}
	}
	return true;
}

void KernelMemory::unpin(const std::string &pins)
{
	for (const char *name : names_)
		unlink(pin_of(pins, name).c_str());
}

void KernelMemory::swap(KernelMemory &other)
{
	std::swap(fds_, other.fds_);
	std::swap(geometry_, other.geometry_);
	std::swap(counters_, other.counters_);
}

bool KernelMemory::lend(Sessions *sessions, Statistics *statistics, std::string *problem) const
{
	Mapping maps[MAPS];

	for (int i = 0; i < MAPS; i++)
		if (!maps[i].map(fds_[i], map_bytes(fds_[i]))) {
			*problem = kernel_problem(std::string("the map ") + names_[i] + " can't be mapped", errno);
			return false;
		}
	sessions->adopt(std::move(maps[0]), std::move(maps[1]), std::move(maps[2]), geometry_);
	statistics->adopt(std::move(maps[3]), possible_processors(), 2 * counters_);
	return true;
}

} // namespace shunt
