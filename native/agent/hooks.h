// SPDX-License-Identifier: Apache-2.0
//
// hooks.h - the agent's two programs at an interface's way out and way in (tc, clsact).
//
// Owns: the filters, by a priority and handles of their own, and the clsact if it was made for them.
// Must never: end with the process by itself: connections that a killed agent has redirected are carried on by the filters
// it left, until the next agent takes their place or `remove` is called.
#ifndef SHUNT_AGENT_HOOKS_H
#define SHUNT_AGENT_HOOKS_H

#include <string>

#include "datapath/types.h"
#include "linux/status.h"

namespace shunt
{

// Puts both there, in the place of those that an earlier agent may have left.
Status put_agent(const std::string &interface, int out_fd, int in_fd);
// Takes both away, and the clsact where nobody else uses it. True if there was anything of ours.
bool remove_agent(const std::string &interface);

} // namespace shunt

#endif
