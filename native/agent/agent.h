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
	u16 port = 0;      // of the target, host order
	u32 ifindex = 0;   // egress interface towards the target; 0: the packet's own
	u64 for_ms = 0;    // lifetime from now
	bool once = false; // for one connection (TCP)
};

// A path of one UDP flow, from the source that its application has to the service.
struct AgentPath {
	sh_flow flow = {};
	u32 index = 0; // of the service
	sh_addr target = {};
	u16 port = 0; // of the target, host order
	u32 ifindex = 0;
};

// When a flow's last packets left and came, CLOCK_BOOTTIME; 0: none, or the flow is not known.
struct AgentActivity {
	u64 sent_ns;
	u64 heard_ns;
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
	// `once`: the service's UDP flows may have paths of their own (bind_flow).
	Status put(const ag_service_key &service, u32 index, const u8 *nonce, bool once, const AgentBinding *binding);
	// Redirects one UDP flow. False: its first packet has decided its path already (a handshake).
	Result<bool> bind_flow(const AgentPath &path);
	// The flow's packets go to the gateway again.
	void unbind_flow(const sh_flow &flow);
	AgentActivity activity(const sh_flow &flow) const;
	// To be called every second: without it, new flows are no longer bound after AG_PATIENCE_NS.
	Status beat();
	Result<ag_counts> counts(u32 index) const;
	// The flows whose path is their own: TCP connections, those that have ended included, and UDP flows.
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
