// SPDX-License-Identifier: Apache-2.0
//
// running_program.cc - see the header.
#include "kernel/running_program.h"

#include <fcntl.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace shunt
{

constexpr u32 MAX_MAPS = 64;

RunningProgram RunningProgram::by_fd(int fd)
{
	RunningProgram program;
	struct bpf_prog_info info = {};
	u32 length = sizeof(info);

	program.fd = Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return program;
	program.id = info.id;
	program.name = info.name;
	program.tag.assign(reinterpret_cast<const char *>(info.tag), sizeof(info.tag));
	program.types = info.btf_id;
	return program;
}

RunningProgram RunningProgram::by_id(u32 id)
{
	Descriptor fd(bpf_prog_get_fd_by_id(id));
	RunningProgram program;

	if (fd.is_open())
		program = by_fd(fd.get());
	program.id = id;
	return program;
}

std::string RunningProgram::description() const
{
	return "program " + (name.empty() ? "without a name" : name) + " (id " + std::to_string(id) + ")";
}

std::vector<NamedMap> RunningProgram::maps() const
{
	std::vector<NamedMap> list;
	u32 ids[MAX_MAPS] = {};
	struct bpf_prog_info info = {};
	u32 length = sizeof(info);

	info.nr_map_ids = MAX_MAPS;
	info.map_ids = (u64)(uintptr_t)ids;
	if (bpf_obj_get_info_by_fd(fd.get(), &info, &length))
		return list;
	for (u32 i = 0; i < info.nr_map_ids && i < MAX_MAPS; i++) {
		struct bpf_map_info map = {};
		u32 map_length = sizeof(map);
		Descriptor map_fd(bpf_map_get_fd_by_id(ids[i]));

		if (map_fd.is_open() && !bpf_obj_get_info_by_fd(map_fd.get(), &map, &map_length))
			list.push_back(NamedMap{map.name, std::move(map_fd)});
	}
	return list;
}

bool RunningProgram::value(const char *map, void *value, size_t bytes) const
{
	const u32 zero = 0;

	for (const NamedMap &one : maps()) {
		struct bpf_map_info info = {};
		u32 length = sizeof(info);

		if (one.name == map)
			return !bpf_obj_get_info_by_fd(one.fd.get(), &info, &length) && info.value_size == bytes &&
			       !bpf_map_lookup_elem(one.fd.get(), &zero, value);
	}
	return false;
}

RunningProgram xdp_program_on(u32 ifindex)
{
	struct bpf_xdp_query_opts state = {};
	RunningProgram found;

	state.sz = sizeof(state);
	if (!ifindex || bpf_xdp_query((int)ifindex, 0, &state))
		return found;
	for (u32 id : {state.prog_id, state.drv_prog_id, state.skb_prog_id, state.hw_prog_id}) {
		RunningProgram program = id ? RunningProgram::by_id(id) : RunningProgram();

		if (program.ours())
			return program;
		if (!found.id)
			found = std::move(program);
	}
	return found;
}

Descriptor xdp_link_on(u32 ifindex, u32 program)
{
	u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {};
		u32 length = sizeof(info);
		Descriptor link(bpf_link_get_fd_by_id(id));

		if (link.is_open() && !bpf_obj_get_info_by_fd(link.get(), &info, &length) &&
		    info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex && info.prog_id == program)
			return link;
	}
	return Descriptor();
}

} // namespace shunt
