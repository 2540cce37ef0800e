// SPDX-License-Identifier: Apache-2.0
//
// agent.h - the host agent's BPF programs (agent.bpf.c): load, attach, set services and bindings, read events and counters.
//
// Owns: the maps, and the filters at its interfaces, which the destructor detaches.
// Must never: decide which target serves a service; src/agent does.
#ifndef SHUNT_AGENT_AGENT_H
#define SHUNT_AGENT_AGENT_H

#include <memory>
#include <string>
#include <vector>

#include "agent/maps.h"
#include "kernel/object.h"
#include "linux/status.h"

struct ring_buffer;

namespace shunt
{

// New flows from `source` to the service go to `target`.
struct AgentBinding {
	sh_addr target = {};
	sh_addr source = {};
	u16 port = 0;    // of the target, host order
	u32 ifindex = 0; // egress interface towards the target; 0: the packet's own
	u64 for_ms = 0;  // lifetime from now
};

// A redirected flow, by the source that its application has.
struct AgentFlow {
	sh_addr source;
	u16 port; // host order
	u8 protocol;
	u64 quiet_ms; // since its last packet left; UDP only
};

class Agent
{
public:
	// Loads the programs and attaches them to each interface. Errors: the verifier's, or an interface's (hooks.h).
	static Result<std::unique_ptr<Agent>> open(const std::vector<std::string> &interfaces);
	~Agent();
	Agent(const Agent &) = delete;

	// Sets a service and its binding (NULL: none). Events and counters name the service by `index`, below AG_SERVICES.
	// `nonce`: 8 bytes of the capability that packets carry while there is no binding; zeros: they carry none.
	Status put(const ag_service_key &service, u32 index, const u8 *nonce, const AgentBinding *binding);
	// To be called every second: without it, new flows are no longer bound after AG_PATIENCE_NS.
	Status beat();
	Result<ag_counts> counts(u32 index) const;
	// The flows whose path is their own: TCP connections, those that have ended included, and UDP flows with a handshake.
	Result<std::vector<AgentFlow>> redirected() const;
	// Waits at most timeout_ms for the first event; at most `max` are returned, the rest by the next call. One thread at a
	// time; the other methods may run meanwhile.
	Result<std::vector<ag_event>> read(u32 max, int timeout_ms);
	u32 program_id(const char *program) const { return object_->program_id(program); }

private:
	Agent() = default;

	std::unique_ptr<Object> object_;
	std::vector<std::string> interfaces_;
	ring_buffer *ring_ = nullptr;
	std::vector<ag_event> pending_; // received, not yet returned
};

} // namespace shunt

#endif
