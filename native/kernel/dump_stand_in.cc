// SPDX-License-Identifier: Apache-2.0
//
// dump_stand_in.cc - the capture by a copy of the packet program that tells what it does.
//
// Owns: the copy, and the exchange at the interface's link: in, and back. Both are between two packets.
// Must never: run a copy of other code than what it stands in for, or over other maps; nor put anything back in the place
// of what somebody else has put there meanwhile.
#include <cerrno>
#include <ctime>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/bpf/state.h"
#include "kernel/dump_way.h"
#include <stand_in.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

// Should the reader be gone without a word (killed, say), the copy stops to watch so long after it was last heard of.
constexpr u64 SILENCE_NS = 10000000000;

u64 monotonic_ns()
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

// Before load(): every map of the packet program's own, so that both work on the same memory.
bool share_maps(Object *object, const RunningProgram &program, std::string *problem)
{
	for (const NamedMap &map : program.maps()) {
		bool tap = map.name.rfind("sh_dump", 0) == 0 ||
		           map.name.rfind("sh_tap", 0) == 0; // of a left-over stand-in

		if (tap || (map.name.rfind("sh_", 0) && map.name != ".data.state"))
			continue;
		if (!object->share(map.name.c_str(), map.fd, problem))
			return false;
	}
	return true;
}

std::unique_ptr<Object> open_copy(const RunningProgram &program, const sh_dump_wanted &wanted, u32 ring_bytes,
                                  std::string *problem)
{
	size_t size;
	const void *elf = stand_in_bpf::elf_bytes(&size);
	std::unique_ptr<Object> object = Object::open(elf, size, "stand_in", problem);

	if (!object || !share_maps(object.get(), program, problem) ||
	    !prepare_tap(object.get(), wanted, ring_bytes, problem) || !object->load(problem))
		return nullptr;
	return object;
}

// The packet program of this version, over the maps of the one that runs.
std::unique_ptr<Object> open_packet_program(const RunningProgram &program, std::string *problem)
{
	std::unique_ptr<Object> object = Object::open("", problem);

	if (!object || !share_maps(object.get(), program, problem) || !object->load(problem))
		return nullptr;
	return object;
}

bool exchange(int link, int from, int to)
{
	LIBBPF_OPTS(bpf_link_update_opts, options, .flags = BPF_F_REPLACE, .old_prog_fd = (u32)from);

	return bpf_link_update(link, to, &options) == 0;
}

std::string other_version(const RunningProgram &program)
{
	return program.in_words() + " is of another version of Shunt, and only its own can stand in for it";
}

class StandIn final : public DumpWay
{
public:
	~StandIn() override
	{
		if (in_place_) // if somebody has put another program there, it stays
			exchange(link_, copy_, program_.fd);
	}

	bool open(RunningProgram program, const sh_dump_wanted &wanted, u32 ring_bytes, std::string *problem)
	{
		program_ = std::move(program);
		link_ = xdp_link_on(wanted.ifindex, program_.id);
		if (link_ < 0) {
			*problem = program_.in_words() + " was attached without a link";
			return false;
		}
		std::unique_ptr<Object> same = open_packet_program(program_, problem);
		if (!same)
			return false;
		if (RunningProgram::by_fd(same->program_fd("shunt_xdp")).tag != program_.tag) {
			*problem = other_version(program_);
			return false;
		}
		object_ = open_copy(program_, wanted, ring_bytes, problem);
		if (!object_ || !object_->map(".data.stand_in", &until_, problem))
			return false;
		copy_ = object_->program_fd("shunt_stand_in");
		stay();
		in_place_ = exchange(link_, program_.fd, copy_);
		if (!in_place_)
			*problem = kernel_problem(program_.in_words() + " can't be exchanged", errno);
		return in_place_;
	}

	const Object &object() const override { return *object_; }
	u32 on_hook() const override { return object_->program_id("shunt_stand_in"); }
	void stay() override
	{
		__atomic_store_n(reinterpret_cast<u64 *>(until_.data()), monotonic_ns() + SILENCE_NS, __ATOMIC_RELAXED);
	}
	bool stand_in() const override { return true; }

private:
	RunningProgram program_; // held, so that it can come back
	BpfDescriptor link_;
	std::unique_ptr<Object> object_;
	Mapping until_;
	int copy_ = -1; // object_'s
	bool in_place_ = false;
};

} // namespace

std::unique_ptr<DumpWay> open_stand_in(RunningProgram program, const sh_dump_wanted &wanted, u32 ring_bytes,
                                       std::string *problem)
{
	std::unique_ptr<StandIn> stand_in(new StandIn);

	if (!stand_in->open(std::move(program), wanted, ring_bytes, problem))
		return nullptr;
	return stand_in;
}

bool end_left_over_stand_in(const RunningProgram &stand_in, u32 ifindex, std::string *problem)
{
	u64 until_ns = 0;

	if (!stand_in.value(".data.stand_in", &until_ns, sizeof(until_ns)) || until_ns > monotonic_ns()) {
		*problem = "somebody else is watching by a stand-in for the packet program, " + stand_in.in_words() +
		           ", and there can be only one";
		return false;
	}
	// Is it of this version? Then so is what it stood in for.
	std::unique_ptr<Object> copy = open_copy(stand_in, {}, 65536, problem);
	if (!copy)
		return false;
	if (RunningProgram::by_fd(copy->program_fd("shunt_stand_in")).tag != stand_in.tag) {
		*problem = other_version(stand_in);
		return false;
	}
	std::unique_ptr<Object> program = open_packet_program(stand_in, problem);
	if (!program)
		return false;
	BpfDescriptor link = xdp_link_on(ifindex, stand_in.id);
	if (link >= 0 && exchange(link, stand_in.fd, program->program_fd("shunt_xdp")))
		return true;
	*problem = kernel_problem(stand_in.in_words() + " can't be exchanged", errno);
	return false;
}

} // namespace shunt
