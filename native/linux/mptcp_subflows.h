// SPDX-License-Identifier: Apache-2.0
//
// mptcp_subflows.h - the MPTCP subflows at local ports, and what each has carried, by a dump of NETLINK_SOCK_DIAG.
//
// Owns: the reading of one socket's MPTCP attributes (INET_DIAG_ULP_INFO) and counters (struct tcp_info).
// Must never: return a part of a dump that failed, or trust a message's length.
#ifndef SHUNT_LINUX_MPTCP_SUBFLOWS_H
#define SHUNT_LINUX_MPTCP_SUBFLOWS_H

#include <cstdint>
#include <optional>
#include <vector>

#include "linux/mptcp_path_manager.h"

namespace shunt
{

struct MptcpSubflow {
	uint32_t token; // this host's, as events and commands name the connection
	uint8_t local_id;
	bool joined; // not the connection's first subflow
	MptcpEndpoint local;
	MptcpEndpoint remote;
	uint64_t bytes_received;
	uint64_t bytes_sent; // that the client has acknowledged
};

// None: a socket of plain TCP, or a message that is too short.
std::optional<MptcpSubflow> mptcp_subflow(const NetlinkMessage &message);

// Established subflows, at all addresses. Needs CAP_NET_ADMIN. Blocks for the dump.
Result<std::vector<MptcpSubflow>> mptcp_subflows(const std::vector<uint16_t> &ports);

} // namespace shunt

#endif
