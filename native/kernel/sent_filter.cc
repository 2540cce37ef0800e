// SPDX-License-Identifier: Apache-2.0
//
// sent_filter.cc - see the header.
#include "kernel/sent_filter.h"

#include <algorithm>
#include <net/if.h>

#include <bpf/bpf.h>

#include "kernel/running_program.h"
#include "kernel/tc_filter.h"

namespace shunt
{

namespace
{

// At a low priority number, so before filters that end the chain; this one never ends it.
constexpr TcSlot SLOT = {TcDirection::egress, 7, 0x53480000, "shunt_sent"};

u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

} // namespace

Result<std::unique_ptr<SentFilter>> SentFilter::attach(const std::string &interface, int program_fd)
{
	std::unique_ptr<SentFilter> filter(new SentFilter);

	filter->interface_ = interface;
	filter->ifindex_ = if_nametoindex(interface.c_str());
	if (!filter->ifindex_)
		return Status::error("there is no interface " + interface);
	if (Status status = tc_attach(interface, filter->ifindex_, {{&SLOT, program_fd}}); !status.ok())
		return status;
	return filter;
}

Status SentFilter::replace(int program_fd)
{
	return tc_replace(interface_, ifindex_, SLOT, program_fd);
}

void SentFilter::remove_others(const std::vector<std::string> &interfaces, int counters_fd)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *one = all; one && one->if_index; one++) {
		if (std::find(interfaces.begin(), interfaces.end(), one->if_name) != interfaces.end())
			continue;
		for (const NamedMap &map : tc_program(one->if_index, SLOT).maps())
			if (map.name == "sh_counters" && map_id(map.fd.get()) == map_id(counters_fd))
				remove(one->if_name);
	}
	if_freenameindex(all);
}

bool SentFilter::remove(const std::string &interface)
{
	return tc_detach(if_nametoindex(interface.c_str()), {&SLOT});
}

} // namespace shunt
