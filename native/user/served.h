// SPDX-License-Identifier: Apache-2.0
//
// served.h - does anybody on this host listen there?
//
// Owns: the question, asked of the kernel once per probe: a few system calls, which limits on probes keep few.
// Must never: take a port from anybody, for longer than the question lasts.
#ifndef SHUNT_USER_SERVED_H
#define SHUNT_USER_SERVED_H

#include "datapath/types.h"

namespace shunt
{

// For what comes to the flow's destination address and port, by its protocol. When the kernel can't say, yes.
int is_served(const sh_flow *flow);

} // namespace shunt

#endif
