// SPDX-License-Identifier: Apache-2.0
//
// dump_probes.cc - the tap by two probes around the running packet program.
//
// Owns: the probes and their links. The kernel runs them before and after the program as long as the links are open.
#include <cerrno>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel/dump_tap.h"
#include "kernel/same_types.h"
#include <dump.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

// Whether the running program lays out a passage and numbers its reasons as this version does.
bool same_layout(const RunningProgram &program)
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

class Probes final : public DumpTap
{
public:
	Status open(const RunningProgram &program, const TapOptions &options)
	{
		if (access("/sys/kernel/btf/vmlinux", R_OK))
			return Status::error("this kernel has no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)");
		if (!same_layout(program))
			return Status::error(program.description() + " is of another version of Shunt");
		if (Status status = load(program, options); !status.ok())
			return status;
		// The first to run is attached first, so that the other one never finds half a packet.
		before_ = Descriptor(bpf_raw_tracepoint_open(nullptr, object_->program_fd("sh_dump_before")));
		if (before_.is_open())
			after_ = Descriptor(bpf_raw_tracepoint_open(nullptr, object_->program_fd("sh_dump_after")));
		if (!after_.is_open())
			return Status::system("the kernel attaches no probes", errno);
		observed_ = program.id;
		return {};
	}

	const Object &object() const override { return *object_; }
	u32 on_hook() const override { return observed_; }

private:
	Status load(const RunningProgram &program, const TapOptions &options)
	{
		size_t size;
		const void *elf = dump_bpf::elf_bytes(&size);
		auto object = Object::open(elf, size, "dump");

		if (!object.ok())
			return object.status();
		object_ = object.take();
		if (Status status = prepare_tap(object_.get(), options); !status.ok())
			return status;
		for (const NamedMap &map : program.maps())
			if (map.name == "sh_scratch_map")
				if (Status status = object_->share("sh_scratch_map", map.fd.get()); !status.ok())
					return status;
		for (const char *probe : {"sh_dump_before", "sh_dump_after"})
			if (Status status = object_->set_attach_target(probe, program.fd.get(), "shunt_xdp");
			    !status.ok())
				return status;
		return object_->load();
	}

	std::unique_ptr<Object> object_;
	Descriptor before_, after_; // links; the last one is closed first
	u32 observed_ = 0;
};

} // namespace

Result<std::unique_ptr<DumpTap>> open_probes(const RunningProgram &program, const TapOptions &options)
{
	auto probes = std::make_unique<Probes>();

	if (Status status = probes->open(program, options); !status.ok())
		return status;
	return std::unique_ptr<DumpTap>(std::move(probes));
}

} // namespace shunt
