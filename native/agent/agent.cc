// SPDX-License-Identifier: Apache-2.0
//
// agent.cc - see the header.
#include "agent/agent.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/hooks.h"
#include "linux/clock.h"
#include <agent.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

int take(void *into, void *bytes, size_t size)
{
	if (size >= sizeof(ag_event))
		static_cast<std::vector<ag_event> *>(into)->push_back(*static_cast<const ag_event *>(bytes));
	return 0;
}

} // namespace

Result<std::unique_ptr<Agent>> Agent::open(const std::vector<std::string> &interfaces)
{
	std::unique_ptr<Agent> agent(new Agent);
	size_t size;
	const void *bytes = agent_bpf::elf_bytes(&size);
	auto object = Object::open(bytes, size, "agent");

	if (!object.ok())
		return object.status();
	agent->object_ = object.take();
	if (Status status = agent->object_->load(); !status.ok())
		return status;
	agent->ring_ = ring_buffer__new(agent->object_->map_fd("ag_ring"), take, &agent->kept_, nullptr);
	if (!agent->ring_)
		return Status::system("the agent's events cannot be read", errno);
	if (Status status = agent->beat(); !status.ok())
		return status;
	for (const std::string &interface : interfaces) {
		Status status = put_agent(interface, agent->object_->program_fd("shunt_out"),
		                          agent->object_->program_fd("shunt_in"));
		if (!status.ok())
			return status;
		agent->interfaces_.push_back(interface);
	}
	return agent;
}

Agent::~Agent()
{
	for (const std::string &interface : interfaces_)
		remove_agent(interface);
	if (ring_)
		ring_buffer__free(ring_);
}

Status Agent::put(const ag_service_key &service, u32 index, const u8 *nonce, const AgentBinding *binding)
{
	ag_service value = {};

	value.index = index;
	memcpy(value.nonce, nonce, sizeof(value.nonce));
	if (binding) {
		value.target = binding->target;
		value.source = binding->source;
		value.port = sh_htons(binding->port);
		value.ifindex = binding->ifindex;
		value.until_ns = boottime_ns() + binding->for_ms * 1000000;
		value.bound = 1;
	}
	if (int failed = bpf_map_update_elem(object_->map_fd("ag_services"), &service, &value, BPF_ANY); failed)
		return Status::system("the agent's service cannot be written", failed);
	return {};
}

Status Agent::beat()
{
	ag_state state = {boottime_ns()};
	u32 zero = 0;

	if (int failed = bpf_map_update_elem(object_->map_fd("ag_states"), &zero, &state, BPF_ANY); failed)
		return Status::system("the agent's heartbeat cannot be written", failed);
	return {};
}

Result<ag_counts> Agent::counts(u32 index) const
{
	ag_counts counts = {};

	if (int failed = bpf_map_lookup_elem(object_->map_fd("ag_counters"), &index, &counts); failed)
		return Status::system("the agent's counters cannot be read", failed);
	return counts;
}

Result<std::vector<ag_event>> Agent::read(u32 max, int timeout_ms)
{
	if (kept_.empty()) {
		int got = ring_buffer__poll(ring_, timeout_ms);

		if (got < 0 && got != -EINTR)
			return Status::system("the agent's events cannot be read", got);
	}
	auto end = kept_.begin() + (ptrdiff_t)std::min<size_t>(max, kept_.size());
	std::vector<ag_event> events(kept_.begin(), end);
	kept_.erase(kept_.begin(), end);
	return events;
}

} // namespace shunt
