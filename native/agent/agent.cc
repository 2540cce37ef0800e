// SPDX-License-Identifier: Apache-2.0
//
// agent.cc - see the header.
#include "agent/agent.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/hooks.h"
#include <agent.skel.h> // made by kernel/bpf/build

namespace shunt
{

namespace
{

u64 now_ns()
{
	timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
}

int take(void *into, void *bytes, size_t size)
{
	if (size >= sizeof(ag_event))
		static_cast<std::vector<ag_event> *>(into)->push_back(*static_cast<const ag_event *>(bytes));
	return 0;
}

} // namespace

std::unique_ptr<Agent> Agent::open(const std::vector<std::string> &interfaces, std::string *problem)
{
	std::unique_ptr<Agent> agent(new Agent);
	size_t size;
	const void *bytes = agent_bpf::elf_bytes(&size);

	agent->object_ = Object::open(bytes, size, "agent", problem);
	if (!agent->object_ || !agent->object_->load(problem))
		return nullptr;
	agent->ring_ = ring_buffer__new(agent->object_->map_fd("ag_ring"), take, &agent->kept_, nullptr);
	if (!agent->ring_) {
		*problem = kernel_problem("the agent's events can't be read", errno);
		return nullptr;
	}
	if (!agent->beat(problem))
		return nullptr;
	for (const std::string &interface : interfaces) {
		if (!put_agent(interface, agent->object_->program_fd("shunt_out"),
		               agent->object_->program_fd("shunt_in"), problem))
			return nullptr;
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

bool Agent::put(const ag_service_key &service, u32 index, const u8 *nonce, const AgentBinding *binding,
                std::string *problem)
{
	ag_service value = {};

	value.index = index;
	memcpy(value.nonce, nonce, sizeof(value.nonce));
	if (binding) {
		value.target = binding->target;
		value.source = binding->source;
		value.port = sh_htons(binding->port);
		value.ifindex = binding->ifindex;
		value.until_ns = now_ns() + binding->for_ms * 1000000;
		value.bound = 1;
	}
	int failed = bpf_map_update_elem(object_->map_fd("ag_services"), &service, &value, BPF_ANY);
	if (failed)
		*problem = kernel_problem("the agent can't take a service", failed);
	return !failed;
}

bool Agent::beat(std::string *problem)
{
	ag_state state = {now_ns()};
	u32 zero = 0;
	int failed = bpf_map_update_elem(object_->map_fd("ag_states"), &zero, &state, BPF_ANY);

	if (failed)
		*problem = kernel_problem("the agent can't tell that it lives", failed);
	return !failed;
}

bool Agent::counts(u32 index, ag_counts *counts, std::string *problem) const
{
	int failed = bpf_map_lookup_elem(object_->map_fd("ag_counters"), &index, counts);

	if (failed)
		*problem = kernel_problem("the agent's counters can't be read", failed);
	return !failed;
}

bool Agent::read(u32 max, int timeout_ms, std::vector<ag_event> *events, std::string *problem)
{
	if (kept_.empty()) {
		int got = ring_buffer__poll(ring_, timeout_ms);

		if (got < 0 && got != -EINTR) {
			*problem = kernel_problem("the agent's events can't be read", got);
			return false;
		}
	}
	size_t some = std::min<size_t>(max, kept_.size());
	events->assign(kept_.begin(), kept_.begin() + (ptrdiff_t)some);
	kept_.erase(kept_.begin(), kept_.begin() + (ptrdiff_t)some);
	return true;
}

} // namespace shunt
