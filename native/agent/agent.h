// SPDX-License-Identifier: Apache-2.0
//
// agent.h - the host agent's BPF programs: loaded, attached, told of services and bindings, asked for events and counters.
//
// Owns: the maps, and the hooks on its interfaces, which close() takes away.
// Must never: decide which target serves a service; src/agent does.
#ifndef SHUNT_AGENT_AGENT_H
#define SHUNT_AGENT_AGENT_H

#include <memory>
#include <string>
#include <vector>

#include "agent/maps.h"
#include "kernel/object.h"

struct ring_buffer;

namespace shunt
{

struct AgentBinding {
	sh_addr target = {};
	sh_addr source = {}; // whose packets
	u16 port = 0;
	u32 ifindex = 0; // by which the target is reached; 0: as the packet goes anyhow
	u64 for_ms = 0;  // from now
};

class Agent
{
public:
	// Fails if the kernel refuses the programs, or an interface takes no filter.
	static Result<std::unique_ptr<Agent>> open(const std::vector<std::string> &interfaces);
	~Agent();
	Agent(const Agent &) = delete;

	// A service, with its binding, if any, under the number by which events and counters name it.
	// `nonce`: what a SYN shows while there is none; zeros: nothing.
	Status put(const ag_service_key &service, u32 index, const u8 *nonce, const AgentBinding *binding);
	// New flows may be bound as long as this is called every second.
	Status beat();
	Result<ag_counts> counts(u32 index) const;
	// Waits for the first event at most so long. One thread at a time; the others may be called meanwhile.
	Result<std::vector<ag_event>> read(u32 max, int timeout_ms);
	u32 program_id(const char *program) const { return object_->program_id(program); }

private:
	Agent() = default;

	std::unique_ptr<Object> object_;
	std::vector<std::string> interfaces_;
	ring_buffer *ring_ = nullptr;
	std::vector<ag_event> kept_; // read, and more than were wanted
};

} // namespace shunt

#endif
