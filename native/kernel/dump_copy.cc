// SPDX-License-Identifier: Apache-2.0
//
// dump_copy.cc - the tap by a tracing copy of the packet program.
//
// Owns: the copy, and its exchange with the original at the interface's link, in both directions, between two packets.
// Must never: run a copy of other code than the original's, or over other maps; nor put the original back if another program
// has replaced the copy.
#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf/state.h"
#include "kernel/dump_tap.h"
#include "linux/clock.h"
#include <stand_in.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

// If the reader has died (SIGKILL, say), the copy stops reporting this long after the last keep_alive().
constexpr u64 READER_TIMEOUT_NS = 10000000000;

// Before load(): every map of the packet program, so that both work on the same memory.
Status share_maps(Object *object, const RunningProgram &program)
{
	for (const NamedMap &map : program.maps()) {
		bool tap = map.name.rfind("sh_dump", 0) == 0 ||
		           map.name.rfind("sh_tap", 0) == 0; // of an orphaned tracing copy

		if (tap || (map.name.rfind("sh_", 0) && map.name != ".data.state"))
			continue;
		if (Status status = object->share(map.name.c_str(), map.fd.get()); !status.ok())
			return status;
	}
	return {};
}

Result<std::unique_ptr<Object>> load_copy(const RunningProgram &program, const TapOptions &options)
{
	size_t size;
	const void *elf = stand_in_bpf::elf_bytes(&size);
	auto object = Object::open(elf, size, "stand_in");

	if (!object.ok())
		return object;
	Status status = share_maps(object->get(), program);
	if (status.ok())
		status = prepare_tap(object->get(), options);
	if (status.ok())
		status = (*object)->load();
	if (!status.ok())
		return status;
	return object;
}

// The packet program of this version, over the maps of the running one.
Result<std::unique_ptr<Object>> load_packet_program(const RunningProgram &program)
{
	auto object = Object::open("");

	if (!object.ok())
		return object;
	Status status = share_maps(object->get(), program);
	if (status.ok())
		status = (*object)->load();
	if (!status.ok())
		return status;
	return object;
}

// Puts program `to` in the place of program `from`; fails if another one is there.
Status exchange(int link, int from, int to, const RunningProgram &named)
{
	LIBBPF_OPTS(bpf_link_update_opts, options, .flags = BPF_F_REPLACE, .old_prog_fd = (u32)from);

	if (bpf_link_update(link, to, &options))
		return Status::system(named.description() + " cannot be exchanged", errno);
	return {};
}

Status other_version(const RunningProgram &program)
{
	return Status::error(program.description() +
	                     " is of another version of Shunt; use that version for a tracing copy");
}

class TracingCopy final : public DumpTap
{
public:
	~TracingCopy() override
	{
		if (in_place_) // fails if another program is there by now, which then stays
			(void)exchange(link_.get(), copy_, program_.fd.get(), program_);
	}

	Status open(RunningProgram program, const TapOptions &options)
	{
		program_ = std::move(program);
		link_ = xdp_link_on(options.filter.ifindex, program_.id);
		if (!link_.is_open())
			return Status::error(program_.description() + " is attached without a BPF link");
		auto same = load_packet_program(program_);
		if (!same.ok())
			return same.status();
		if (RunningProgram::by_fd((*same)->program_fd("shunt_xdp")).tag != program_.tag)
			return other_version(program_);
		auto object = load_copy(program_, options);
		if (!object.ok())
			return object.status();
		object_ = object.take();
		auto until = object_->map(".data.stand_in");
		if (!until.ok())
			return until.status();
		until_ = until.take();
		copy_ = object_->program_fd("shunt_stand_in");
		keep_alive();
		Status status = exchange(link_.get(), program_.fd.get(), copy_, program_);
		in_place_ = status.ok();
		return status;
	}

	const Object &object() const override { return *object_; }
	u32 on_hook() const override { return object_->program_id("shunt_stand_in"); }
	void keep_alive() override
	{
		__atomic_store_n(reinterpret_cast<u64 *>(until_.data()), monotonic_ns() + READER_TIMEOUT_NS,
		                 __ATOMIC_RELAXED);
	}
	bool tracing_copy() const override { return true; }

private:
	RunningProgram program_; // the original; its descriptor keeps it loaded
	Descriptor link_;
	std::unique_ptr<Object> object_;
	Mapping until_;
	int copy_ = -1; // object_'s
	bool in_place_ = false;
};

} // namespace

Result<std::unique_ptr<DumpTap>> open_tracing_copy(RunningProgram program, const TapOptions &options)
{
	auto copy = std::make_unique<TracingCopy>();

	if (Status status = copy->open(std::move(program), options); !status.ok())
		return status;
	return std::unique_ptr<DumpTap>(std::move(copy));
}

Status end_orphaned_copy(const RunningProgram &copy, u32 ifindex)
{
	u64 until_ns = 0;

	if (!copy.value(".data.stand_in", &until_ns, sizeof(until_ns)) || until_ns > monotonic_ns())
		return Status::error("another capture observes the packet program by a tracing copy, " +
		                     copy.description() + "; there can be one at a time");
	// If it is of this version, so is the packet program that it replaced.
	TapOptions smallest;
	smallest.ring_bytes = 65536;
	auto same = load_copy(copy, smallest);
	if (!same.ok())
		return same.status();
	if (RunningProgram::by_fd((*same)->program_fd("shunt_stand_in")).tag != copy.tag)
		return other_version(copy);
	auto program = load_packet_program(copy);
	if (!program.ok())
		return program.status();
	Descriptor link = xdp_link_on(ifindex, copy.id);
	if (!link.is_open())
		return Status::error(copy.description() + " is attached without a BPF link");
	return exchange(link.get(), copy.fd.get(), (*program)->program_fd("shunt_xdp"), copy);
}

} // namespace shunt
