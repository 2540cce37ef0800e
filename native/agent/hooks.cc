// SPDX-License-Identifier: Apache-2.0
//
// hooks.cc - see the header.
#include "agent/hooks.h"

#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "kernel/object.h"
#include "kernel/running_program.h"

namespace shunt
{

namespace
{

constexpr u32 PRIORITY = 11;              // behind the filter that counts what a backend sends (sent_filter.cc)
constexpr u32 HANDLE_BESIDE = 0x53484100; // the qdisc was there
constexpr u32 HANDLE_ALONE = 0x53484101;  // we made it

struct Way {
	bpf_tc_attach_point point;
	const char *name;
};
constexpr Way WAYS[] = {{BPF_TC_EGRESS, "shunt_out"}, {BPF_TC_INGRESS, "shunt_in"}};

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

// 0: there is none of ours on this way.
u32 handle_of_ours(u32 ifindex, const Way &way)
{
	for (u32 handle : {HANDLE_BESIDE, HANDLE_ALONE}) {
		bpf_tc_hook hook = hook_of(ifindex, way.point);
		bpf_tc_opts options = options_of(handle);

		if (!bpf_tc_query(&hook, &options) && RunningProgram::by_id(options.prog_id).name == way.name)
			return handle;
	}
	return 0;
}

// When it can't be told, somebody does. The first message of a dump is enough.
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

void destroy_if_unused(u32 ifindex)
{
	if (has_filters(ifindex, TC_H_MIN_INGRESS) || has_filters(ifindex, TC_H_MIN_EGRESS))
		return;
	bpf_tc_hook hook = hook_of(ifindex, (bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS));
	bpf_tc_hook_destroy(&hook);
}

// The programs expect Ethernet in front of IP.
bool is_ethernet(const std::string &interface)
{
	Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifreq request = {};

	strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
	return socket.is_open() && !ioctl(socket.get(), SIOCGIFHWADDR, &request) &&
	       request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

} // namespace

Status put_agent(const std::string &interface, int out_fd, int in_fd)
{
	u32 ifindex = if_nametoindex(interface.c_str());

	if (!ifindex || !is_ethernet(interface))
		return Status::error(ifindex ? interface + " is no Ethernet interface"
		                             : "there is no interface named " + interface);
	bpf_tc_hook both = hook_of(ifindex, BPF_TC_EGRESS);
	int there = bpf_tc_hook_create(&both);
	if (there && there != -EEXIST)
		return Status::system("the clsact qdisc of " + interface, there);
	u32 fresh = there ? HANDLE_BESIDE : HANDLE_ALONE;
	// The way in first: whose answers are whose must be known before anything is sent elsewhere.
	for (const Way *way : {&WAYS[1], &WAYS[0]}) {
		u32 old = handle_of_ours(ifindex, *way);
		bpf_tc_hook hook = hook_of(ifindex, way->point);
		bpf_tc_opts options = options_of(old ? old : fresh);

		options.prog_fd = way->point == BPF_TC_EGRESS ? out_fd : in_fd;
		options.flags = old ? BPF_TC_F_REPLACE : 0;
		int failed = bpf_tc_attach(&hook, &options);
		if (failed) {
			remove_agent(interface);
			return Status::system("the tc filter of " + interface + " (priority " +
			                              std::to_string(PRIORITY) + ")",
			                      failed);
		}
	}
	return {};
}

bool remove_agent(const std::string &interface)
{
	u32 ifindex = if_nametoindex(interface.c_str());
	bool any = false, made = false;

	for (const Way &way : WAYS) {
		u32 handle = ifindex ? handle_of_ours(ifindex, way) : 0;
		if (!handle)
			continue;
		bpf_tc_hook hook = hook_of(ifindex, way.point);
		bpf_tc_opts options = options_of(handle);

		bpf_tc_detach(&hook, &options);
		any = true;
		made |= handle == HANDLE_ALONE;
	}
	if (made)
		destroy_if_unused(ifindex);
	return any;
}

} // namespace shunt
