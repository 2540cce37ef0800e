// SPDX-License-Identifier: Apache-2.0
//
// hooks.h - the agent's two programs at an interface's clsact egress and ingress.
//
// Owns: the two filters (kernel/tc_filter.h), by a priority and handles of their own.
// Must never: detach when the process ends: connections that a killed agent has redirected are carried on by its filters,
// until the next agent replaces them or remove_agent() is called.
#ifndef SHUNT_AGENT_HOOKS_H
#define SHUNT_AGENT_HOOKS_H

#include <string>

#include "linux/status.h"

namespace shunt
{

// Attaches both programs, replacing those of an earlier agent. On an error neither stays attached.
Status attach_agent(const std::string &interface, int egress_fd, int ingress_fd);
// Detaches both programs, whichever agent attached them. False: there was neither.
bool detach_agent(const std::string &interface);

} // namespace shunt

#endif
