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

int append_event(void *events, void *bytes, size_t size)
{
	if (size >= sizeof(ag_event))
		static_cast<std::vector<ag_event> *>(events)->push_back(*static_cast<const ag_event *>(bytes));
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
	agent->ring_ = ring_buffer__new(agent->object_->map_fd("ag_ring"), append_event, &agent->pending_, nullptr);
	if (!agent->ring_)
		return Status::system("ring buffer of the agent's events", errno);
	if (Status status = agent->beat(); !status.ok())
		return status;
	for (const std::string &interface : interfaces) {
		Status status = attach_agent(interface, agent->object_->program_fd("shunt_out"),
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
		detach_agent(interface);
	if (ring_)
		ring_buffer__free(ring_);
}

Status Agent::put(const ag_service_key &service, u32 index, const u8 *nonce, bool once, const AgentBinding *binding)
{
	ag_service value = {};
	ag_bound bound = {};

	value.index = index;
	value.once = once;
	memcpy(value.nonce, nonce, sizeof(value.nonce));
	if (binding) {
		value.target = binding->target;
		value.source = binding->source;
		value.port = sh_htons(binding->port);
		value.ifindex = binding->ifindex;
		value.until_ns = boottime_ns() + binding->for_ms * 1000000;
		value.bound = 1;
		value.once = binding->once;
		bound.target = value.target;
		bound.port = value.port;
	}
	if (int failed = bpf_map_update_elem(object_->map_fd("ag_bindings"), &index, &bound, BPF_ANY))
		return Status::system("update of the agent's map ag_bindings", failed);
	int failed = bpf_map_update_elem(object_->map_fd("ag_services"), &service, &value, BPF_ANY);
	return failed ? Status::system("update of the agent's map ag_services", failed) : Status();
}

Result<bool> Agent::bind_flow(const AgentPath &path)
{
	int map = object_->map_fd("ag_flows");
	u64 now = boottime_ns();
	ag_flow value = {};

	if (!bpf_map_lookup_elem(map, &path.flow, &value) && !value.once && now < value.last_ns + AG_FLOW_IDLE_NS)
		return false;
	value = {};
	value.target = path.target;
	value.port = sh_htons(path.port);
	value.ifindex = path.ifindex;
	value.index = path.index;
	value.last_ns = now;
	value.once = 1;
	int failed = bpf_map_update_elem(map, &path.flow, &value, BPF_ANY);
	if (failed)
		return Status::system("update of the agent's map ag_flows", failed);
	return true;
}

void Agent::unbind_flow(const sh_flow &flow)
{
	int map = object_->map_fd("ag_flows");
	ag_flow value = {};

	if (!bpf_map_lookup_elem(map, &flow, &value) && value.once)
		bpf_map_delete_elem(map, &flow);
}

AgentActivity Agent::activity(const sh_flow &flow) const
{
	ag_flow value = {};

	if (bpf_map_lookup_elem(object_->map_fd("ag_flows"), &flow, &value) || !value.once)
		return {};
	return {value.last_ns, value.heard_ns};
}

Status Agent::beat()
{
	ag_state state = {boottime_ns()};
	u32 zero = 0;
	int failed = bpf_map_update_elem(object_->map_fd("ag_states"), &zero, &state, BPF_ANY);

	return failed ? Status::system("update of the agent's map ag_states", failed) : Status();
}

Result<ag_counts> Agent::counts(u32 index) const
{
	ag_counts counts = {};
	int failed = bpf_map_lookup_elem(object_->map_fd("ag_counters"), &index, &counts);

	if (failed)
		return Status::system("look-up in the agent's map ag_counters", failed);
	return counts;
}

Result<std::vector<AgentFlow>> Agent::redirected() const
{
	std::vector<AgentFlow> flows;
	int map = object_->map_fd("ag_flows");
	u64 now = boottime_ns();
	sh_flow previous = {}, flow = {};
	int failed = bpf_map_get_next_key(map, nullptr, &flow);

	// A flow that is removed meanwhile starts the map anew: AG_FLOWS steps bound it.
	for (u32 i = 0; !failed && i < AG_FLOWS; i++) {
		ag_flow value = {};

		if (!bpf_map_lookup_elem(map, &flow, &value) && value.port)
			flows.push_back({flow.source, sh_ntohs(flow.source_port), flow.protocol,
			                 now > value.last_ns ? (now - value.last_ns) / 1000000 : 0});
		previous = flow;
		failed = bpf_map_get_next_key(map, &previous, &flow);
	}
	if (failed && failed != -ENOENT)
		return Status::system("reading the agent's map ag_flows", failed);
	return flows;
}

Result<std::vector<ag_event>> Agent::read(u32 max, int timeout_ms)
{
	if (pending_.empty()) {
		int received = ring_buffer__poll(ring_, timeout_ms);

		if (received < 0 && received != -EINTR)
			return Status::system("poll of the agent's events", received);
	}
	auto end = pending_.begin() + static_cast<ptrdiff_t>(std::min<size_t>(max, pending_.size()));
	std::vector<ag_event> events(pending_.begin(), end);
	pending_.erase(pending_.begin(), end);
	return events;
}

} // namespace shunt
