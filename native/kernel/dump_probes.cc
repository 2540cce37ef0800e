// SPDX-License-Identifier: Apache-2.0
//
// dump_probes.cc - the capture by two probes around the running packet program.
//
// Owns: the probes and their links. The kernel runs them before and after the program as long as the links are open.
#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel/dump_way.h"
#include "kernel/same_types.h"
#include <dump.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

// Does the running program say by a passage, and by the number of a reason, what this version says?
bool speaks_ours(const RunningProgram &program)
{
	LIBBPF_OPTS(bpf_object_open_opts, options);
	size_t size;
	const void *elf = dump_bpf::elf_bytes(&size);
	bpf_object *own = bpf_object__open_mem(elf, size, &options);
	btf *theirs = program.types ? btf__load_from_kernel_by_id(program.types) : nullptr;
	bool same = own && theirs && same_type(bpf_object__btf(own), theirs, "sh_passage", BTF_KIND_STRUCT) &&
	            same_type(bpf_object__btf(own), theirs, "sh_reason", BTF_KIND_ENUM);

	btf__free(theirs);
	bpf_object__close(own);
	return same;
}

class Probes final : public DumpWay
{
public:
	bool open(const RunningProgram &program, const sh_dump_wanted &wanted, u32 ring_bytes, std::string *problem)
	{
		size_t size;
		const void *elf = dump_bpf::elf_bytes(&size);

		if (access("/sys/kernel/btf/vmlinux", R_OK)) {
			*problem = "this kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)";
			return false;
		}
		if (!speaks_ours(program)) {
			*problem = program.in_words() + " is of another version of Shunt";
			return false;
		}
		object_ = Object::open(elf, size, "dump", problem);
		if (!object_ || !prepare_tap(object_.get(), wanted, ring_bytes, problem))
			return false;
		for (const NamedMap &map : program.maps())
			if (map.name == "sh_scratch_map" && !object_->share("sh_scratch_map", map.fd, problem))
				return false;
		if (!object_->aim("sh_dump_before", program.fd, "shunt_xdp", problem) ||
		    !object_->aim("sh_dump_after", program.fd, "shunt_xdp", problem) || !object_->load(problem))
			return false;
		// The one that runs first is attached first: the other then never finds half a packet.
		before_ = BpfDescriptor(bpf_raw_tracepoint_open(nullptr, object_->program_fd("sh_dump_before")));
		if (before_ >= 0)
			after_ = BpfDescriptor(bpf_raw_tracepoint_open(nullptr, object_->program_fd("sh_dump_after")));
		if (after_ < 0) {
			*problem = kernel_problem("the kernel attaches no probes", errno);
			return false;
		}
		watched_ = program.id;
		return true;
	}

	const Object &object() const override { return *object_; }
	u32 on_hook() const override { return watched_; }

private:
	std::unique_ptr<Object> object_;
	BpfDescriptor before_, after_; // links; the last one is closed first
	u32 watched_ = 0;
};

} // namespace

std::unique_ptr<DumpWay> open_probes(const RunningProgram &program, const sh_dump_wanted &wanted, u32 ring_bytes,
                                     std::string *problem)
{
	std::unique_ptr<Probes> probes(new Probes);

	if (!probes->open(program, wanted, ring_bytes, problem))
		return nullptr;
	return probes;
}

} // namespace shunt
