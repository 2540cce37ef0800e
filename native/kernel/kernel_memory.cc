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

const char *const KernelMemory::names_[MAPS] = {"sh_sessions4", "sh_sessions6", "sh_fragments", "sh_counters",
                                                "sh_failures"};

static constexpr u32 PAGE_BYTES = 4096; // the smallest of any processor's

static std::string pin_of(const std::string &pins, const char *name)
{
	return pins + "/" + name + "-" + std::to_string(SH_LAYOUT);
}

u32 possible_processors()
{
	int count = libbpf_num_possible_cpus();

	return count < 1 ? 1 : (u32)count;
}

bool KernelMemory::measure()
{
	u32 entries[MAPS], bytes[MAPS];
	const u32 expected[MAPS] = {sizeof(sh_bucket4), sizeof(sh_bucket6), sizeof(sh_fragment), sizeof(sh_counter),
	                            sizeof(sh_failure_report)};

	for (int i = 0; i < MAPS; i++)
		if (!maps_[i].is_open() || !map_bytes(maps_[i].get(), &entries[i], &bytes[i]) ||
		    bytes[i] != expected[i])
			return false;
	for (int i = 0; i < 3; i++)
		if (entries[i] & (entries[i] - 1))
			return false;
	if (entries[3] % possible_processors() || entries[4] != SH_FAILURE_REPORTS)
		return false;
	geometry_ = SessionGeometry{entries[0], entries[1], entries[2]};
	counters_ = entries[3] / possible_processors();
	return counters_ > SH_COUNT_TARGET;
}

bool KernelMemory::adopt(const std::string &pins)
{
	for (int i = 0; i < MAPS; i++)
		maps_[i] = Descriptor(bpf_obj_get(pin_of(pins, names_[i]).c_str()));
	if (measure())
		return true;
	for (Descriptor &map : maps_)
		map.reset();
	return false;
}

Status KernelMemory::prepare(Object *object, const SessionGeometry &geometry, u32 targets) const
{
	const u64 entries[MAPS] = {geometry.buckets4, geometry.buckets6, geometry.fragments,
	                           (u64)SH_COUNTERS(std::max(targets, 1u)) * possible_processors(), SH_FAILURE_REPORTS};

	for (int i = 0; i < MAPS; i++) {
		Status status =
			has_maps() ? object->share(names_[i], maps_[i].get()) : object->resize(names_[i], entries[i]);
		if (!status.ok())
			return status;
	}
	return {};
}

// Reads an entry of every page of a map through the kernel's own mapping, the one that the packet program uses. Where a
// hypervisor shadows the guest's page tables the first access to a page costs microseconds, which the first packets of new
// sessions would wait for; elsewhere it costs a few milliseconds here. To touch the memory in this process would be of no use:
// its mapping is another one.
static void touch(int map, u32 entries, u32 bytes)
{
	const u32 step = std::max(PAGE_BYTES / bytes, 1u);
	u8 value[PAGE_BYTES];

	for (u64 i = 0; i < entries && bytes <= sizeof(value); i += step) {
		u32 index = (u32)i;

		(void)bpf_map_lookup_elem(map, &index, value);
	}
}

Status KernelMemory::take(const Object &object)
{
	if (has_maps())
		return {};
	for (int i = 0; i < MAPS; i++)
		maps_[i] = Descriptor(fcntl(object.map_fd(names_[i]), F_DUPFD_CLOEXEC, 0));
	if (!measure())
		return Status::error("the BPF maps of sessions and counters have not the requested layout");
	for (const Descriptor &map : maps_) {
		u32 entries = 0, bytes = 0;

		if (map_bytes(map.get(), &entries, &bytes))
			touch(map.get(), entries, bytes);
	}
	return {};
}

Status KernelMemory::pin(const std::string &pins) const
{
	for (int i = 0; i < MAPS; i++) {
		std::string path = pin_of(pins, names_[i]);

		// A pin of the same map can be replaced; one of another map could not be adopted.
		unlink(path.c_str());
		if (bpf_obj_pin(maps_[i].get(), path.c_str()))
			return Status::system(path + " cannot be pinned", errno);
	}
	return {};
}

void KernelMemory::unpin(const std::string &pins)
{
	for (const char *name : names_)
		unlink(pin_of(pins, name).c_str());
}

void KernelMemory::swap(KernelMemory &other)
{
	std::swap(maps_, other.maps_);
	std::swap(geometry_, other.geometry_);
	std::swap(counters_, other.counters_);
}

Status KernelMemory::map(Sessions *sessions, Statistics *statistics) const
{
	Mapping maps[MAPS];

	for (int i = 0; i < MAPS; i++)
		if (!maps[i].map(maps_[i].get(), map_bytes(maps_[i].get())))
			return Status::system(std::string("the BPF map ") + names_[i] + " cannot be mapped", errno);
	sessions->adopt(std::move(maps[0]), std::move(maps[1]), std::move(maps[2]), std::move(maps[4]), geometry_);
	statistics->adopt(std::move(maps[3]), possible_processors(), 2 * counters_);
	return {};
}

} // namespace shunt
