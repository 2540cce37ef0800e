// SPDX-License-Identifier: Apache-2.0
//
// sent_filter.cc - see the header.
#include "kernel/sent_filter.h"

#include <algorithm>
#include <cerrno>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "kernel/running_program.h"

namespace shunt
{

namespace
{

// Early, so that a filter that ends the chain does not hide packets from us; ours never ends it.
constexpr u32 PRIORITY = 7;
constexpr u32 HANDLE_BESIDE = 0x53480000; // the qdisc was there
constexpr u32 HANDLE_ALONE = 0x53480001;  // we made it

const char *const NAME = "shunt_sent";

bpf_tc_hook hook_of(u32 ifindex, bpf_tc_attach_point point)
{
	bpf_tc_hook hook = {};

	hook.sz = sizeof(hook);
	hook.ifindex = (int)ifindex;
	hook.attach_point = point;
	return hook;
}

bpf_tc_opts options_of(u32 handle)
{
	bpf_tc_opts options = {};

	options.sz = sizeof(options);
	options.handle = handle;
	options.priority = PRIORITY;
	return options;
}

// The program at this place; none: nobody's.
RunningProgram holder(u32 ifindex, u32 handle)
{
	bpf_tc_hook hook = hook_of(ifindex, BPF_TC_EGRESS);
	bpf_tc_opts options = options_of(handle);

	return bpf_tc_query(&hook, &options) ? RunningProgram() : RunningProgram::by_id(options.prog_id);
}

// The handle of a filter of ours; 0: there is none.
u32 handle_of_ours(u32 ifindex)
{
	for (u32 handle : {HANDLE_BESIDE, HANDLE_ALONE})
		if (holder(ifindex, handle).name == NAME)
			return handle;
	return 0;
}

u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &length) ? 0 : info.id;
}

// Does any filter hang on this way of the interface's clsact? When it can't be told, yes. The first message of a dump is
// enough: it is a filter, or says that there is none.
bool has_filters(u32 ifindex, u32 way)
{
	Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	struct {
		nlmsghdr header;
		tcmsg message;
	} request = {};
	alignas(nlmsghdr) u8 answer[65536];
	timeval patience = {1, 0};

	request.header.nlmsg_len = sizeof(request);
	request.header.nlmsg_type = RTM_GETTFILTER;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.message.tcm_ifindex = (int)ifindex;
	request.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, way);
	if (!socket.is_open() || setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    send(socket.get(), &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return true;
	ssize_t length = recv(socket.get(), answer, sizeof(answer), 0);
	const nlmsghdr *first = reinterpret_cast<const nlmsghdr *>(answer);
	return length < (ssize_t)sizeof(*first) || first->nlmsg_type != NLMSG_DONE;
}

bool others_use(u32 ifindex)
{
	return has_filters(ifindex, TC_H_MIN_INGRESS) || has_filters(ifindex, TC_H_MIN_EGRESS);
}

bool put(u32 ifindex, u32 handle, int program_fd, u32 flags)
{
	bpf_tc_hook hook = hook_of(ifindex, BPF_TC_EGRESS);
	bpf_tc_opts options = options_of(handle);

	options.prog_fd = program_fd;
	options.flags = flags;
	int failed = bpf_tc_attach(&hook, &options);
	errno = -failed;
	return !failed;
}

} // namespace

Result<std::unique_ptr<SentFilter>> SentFilter::attach(const std::string &interface, int program_fd)
{
	std::unique_ptr<SentFilter> filter(new SentFilter);

	filter->interface_ = interface;
	filter->ifindex_ = if_nametoindex(interface.c_str());
	if (!filter->ifindex_)
		return Status::error("there is no interface named " + interface);
	filter->handle_ = handle_of_ours(filter->ifindex_);
	if (filter->handle_) {
		if (Status status = filter->replace(program_fd); !status.ok())
			return status;
		return filter;
	}

	bpf_tc_hook hook = hook_of(filter->ifindex_, BPF_TC_EGRESS);
	int failed = bpf_tc_hook_create(&hook);
	if (failed && failed != -EEXIST)
		return Status::system("the clsact qdisc of " + interface, failed);
	filter->handle_ = failed ? HANDLE_BESIDE : HANDLE_ALONE;
	if (put(filter->ifindex_, filter->handle_, program_fd, 0))
		return filter;
	Status status = Status::system(
		"the tc egress filter of " + interface + " (priority " + std::to_string(PRIORITY) + ")", errno);
	if (!failed && !others_use(filter->ifindex_)) {
		hook.attach_point = (bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS);
		bpf_tc_hook_destroy(&hook);
	}
	return status;
}

Status SentFilter::replace(int program_fd)
{
	if (put(ifindex_, handle_, program_fd, BPF_TC_F_REPLACE))
		return {};
	return Status::system("the tc egress filter of " + interface_ + " cannot be replaced", errno);
}

void SentFilter::remove_others(const std::vector<std::string> &interfaces, int counters_fd)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *one = all; one && one->if_index; one++) {
		if (std::find(interfaces.begin(), interfaces.end(), one->if_name) != interfaces.end())
			continue;
		u32 handle = handle_of_ours(one->if_index);
		if (!handle)
			continue;
		for (const NamedMap &map : holder(one->if_index, handle).maps())
			if (map.name == "sh_counters" && map_id(map.fd.get()) == map_id(counters_fd))
				remove(one->if_name);
	}
	if_freenameindex(all);
}

bool SentFilter::remove(const std::string &interface)
{
	u32 ifindex = if_nametoindex(interface.c_str());
	u32 handle = ifindex ? handle_of_ours(ifindex) : 0;

	if (!handle)
		return false;
	bpf_tc_hook hook = hook_of(ifindex, BPF_TC_EGRESS);
	bpf_tc_opts options = options_of(handle);
	bpf_tc_detach(&hook, &options);
	if (handle == HANDLE_ALONE && !others_use(ifindex)) {
		hook.attach_point = (bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS);
		bpf_tc_hook_destroy(&hook);
	}
	return true;
}

} // namespace shunt
