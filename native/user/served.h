// SPDX-License-Identifier: Apache-2.0
//
// served.h - whether a local socket owns a flow's destination.
//
// Owns: the test by bind(2), once per probe: a few system calls, which the limits on probes keep rare.
// Must never: keep the port bound.
#ifndef SHUNT_USER_SERVED_H
#define SHUNT_USER_SERVED_H

#include "datapath/types.h"

namespace shunt
{

// 1: a socket of this host owns the flow's destination address and port, by its protocol, or that is unknown; 0: none does.
// `connected`: of a TCP connection of exactly this flow, by sock_diag(7).
int is_served(const sh_flow *flow, int connected);

} // namespace shunt

#endif
