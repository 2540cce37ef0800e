// SPDX-License-Identifier: Apache-2.0
//
// tc_filter.cc - see the header.
#include "kernel/tc_filter.h"

#include <cerrno>

#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "linux/netlink.h"

namespace shunt
{

namespace
{

bpf_tc_hook hook_of(uint32_t ifindex, bpf_tc_attach_point point)
{
	bpf_tc_hook hook = {};

	hook.sz = sizeof(hook);
	hook.ifindex = static_cast<int>(ifindex);
	hook.attach_point = point;
	return hook;
}

bpf_tc_hook hook_of(uint32_t ifindex, const TcSlot &slot)
{
	return hook_of(ifindex, slot.direction == TcDirection::ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
}

bpf_tc_opts options_of(const TcSlot &slot, uint32_t handle)
{
	bpf_tc_opts options = {};

	options.sz = sizeof(options);
	options.handle = handle;
	options.priority = slot.priority;
	return options;
}

// The program of the filter with this handle, attached by any process.
RunningProgram program_at(uint32_t ifindex, const TcSlot &slot, uint32_t handle)
{
	bpf_tc_hook hook = hook_of(ifindex, slot);
	bpf_tc_opts options = options_of(slot, handle);

	return bpf_tc_query(&hook, &options) ? RunningProgram() : RunningProgram::by_id(options.prog_id);
}

// True if a filter is attached at this side of clsact (TC_H_MIN_*), and if that cannot be determined.
bool has_filters(uint32_t ifindex, uint32_t side)
{
	NetlinkRequest request(RTM_GETTFILTER, NLM_F_DUMP);
	bool found = false;
	Netlink netlink;
	tcmsg head = {};

	head.tcm_ifindex = static_cast<int>(ifindex);
	head.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
	request.family_header(head);
	return !netlink.open().ok() ||
	       !netlink.ask(request, "RTM_GETTFILTER", [&](const NetlinkMessage &) { found = true; }).ok() || found;
}

void remove_qdisc_if_unused(uint32_t ifindex)
{
	if (has_filters(ifindex, TC_H_MIN_INGRESS) || has_filters(ifindex, TC_H_MIN_EGRESS))
		return;
	bpf_tc_hook hook = hook_of(ifindex, static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS));
	bpf_tc_hook_destroy(&hook);
}

int attach(uint32_t ifindex, const TcSlot &slot, uint32_t handle, int program_fd, uint32_t flags)
{
	bpf_tc_hook hook = hook_of(ifindex, slot);
	bpf_tc_opts options = options_of(slot, handle);

	options.prog_fd = program_fd;
	options.flags = flags;
	return bpf_tc_attach(&hook, &options);
}

} // namespace

uint32_t tc_find(uint32_t ifindex, const TcSlot &slot)
{
	for (uint32_t handle : {slot.handle, slot.handle + 1})
		if (program_at(ifindex, slot, handle).name == slot.program)
			return handle;
	return 0;
}

RunningProgram tc_program(uint32_t ifindex, const TcSlot &slot)
{
	uint32_t handle = tc_find(ifindex, slot);

	return handle ? program_at(ifindex, slot, handle) : RunningProgram();
}

Status tc_attach(const std::string &interface, uint32_t ifindex, std::initializer_list<TcAttachment> attachments)
{
	bpf_tc_hook egress = hook_of(ifindex, BPF_TC_EGRESS);
	int created = bpf_tc_hook_create(&egress);

	if (created && created != -EEXIST)
		return Status::system("interface " + interface + ": the clsact qdisc cannot be created", created);
	for (const TcAttachment &one : attachments) {
		uint32_t old = tc_find(ifindex, *one.slot);
		uint32_t handle = old ? old : one.slot->handle + (created ? 0 : 1);
		int failed = attach(ifindex, *one.slot, handle, one.program_fd, old ? BPF_TC_F_REPLACE : 0);

		if (!failed)
			continue;
		if (!created)
			remove_qdisc_if_unused(ifindex);
		return Status::system("interface " + interface + ": the tc filter " + one.slot->program +
		                              " (priority " + std::to_string(one.slot->priority) +
		                              ") cannot be attached",
		                      failed);
	}
	return {};
}

Status tc_replace(const std::string &interface, uint32_t ifindex, const TcSlot &slot, int program_fd)
{
	uint32_t old = tc_find(ifindex, slot);
	int failed = attach(ifindex, slot, old ? old : slot.handle, program_fd, BPF_TC_F_REPLACE);

	if (!failed)
		return {};
	return Status::system("interface " + interface + ": the tc filter " + slot.program + " cannot be replaced",
	                      failed);
}

bool tc_detach(uint32_t ifindex, std::initializer_list<const TcSlot *> slots)
{
	bool found = false, created = false;

	for (const TcSlot *slot : slots) {
		uint32_t handle = ifindex ? tc_find(ifindex, *slot) : 0;
		if (!handle)
			continue;
		bpf_tc_hook hook = hook_of(ifindex, *slot);
		bpf_tc_opts options = options_of(*slot, handle);

		bpf_tc_detach(&hook, &options);
		found = true;
		created |= handle == slot->handle + 1;
	}
	if (created)
		remove_qdisc_if_unused(ifindex);
	return found;
}

} // namespace shunt
