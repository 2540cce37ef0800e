// SPDX-License-Identifier: Apache-2.0
//
// mptcp_subflows.cc - see the header.
#include "linux/mptcp_subflows.h"

#include <cstddef>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include "linux/tcp_sessions.h"

namespace shunt
{

namespace
{

constexpr const char *STEP = "NETLINK_SOCK_DIAG of MPTCP subflows";
// <netinet/tcp.h> names them, and cannot be included beside <linux/tcp.h>.
constexpr uint32_t ESTABLISHED = 1, FIN_WAIT1 = 4, CLOSE_WAIT = 8;
constexpr uint32_t STATES = 1U << ESTABLISHED | 1U << FIN_WAIT1 | 1U << CLOSE_WAIT;

bool read_at(const AttributeCursor &at, size_t offset, uint64_t *out)
{
	if (at.length() < offset + sizeof(*out))
		return false;
	memcpy(out, at.data() + offset, sizeof(*out));
	return true;
}

bool read_mptcp(AttributeCursor at, MptcpSubflow *out)
{
	bool has_token = false;

	while (at.next()) {
		uint32_t flags = 0;

		if (at.type() == MPTCP_SUBFLOW_ATTR_TOKEN_LOC)
			has_token = at.read(&out->token);
		else if (at.type() == MPTCP_SUBFLOW_ATTR_ID_LOC)
			at.read(&out->local_id);
		else if (at.type() == MPTCP_SUBFLOW_ATTR_FLAGS && at.read(&flags))
			out->joined = flags & (MPTCP_SUBFLOW_FLAG_JOIN_REM | MPTCP_SUBFLOW_FLAG_JOIN_LOC);
	}
	return has_token && out->token != 0; // 0: the connection has fallen back to TCP
}

} // namespace

std::optional<MptcpSubflow> mptcp_subflow(const NetlinkMessage &message)
{
	inet_diag_msg socket;
	MptcpSubflow out = {};
	bool mptcp = false;

	if (message.type != SOCK_DIAG_BY_FAMILY || !message.head(&socket))
		return std::nullopt;
	if (socket.idiag_family != AF_INET && socket.idiag_family != AF_INET6)
		return std::nullopt;
	size_t length = socket.idiag_family == AF_INET ? 4 : 16;
	out.local = {*IpAddress::from_bytes(socket.id.idiag_src, length), ntohs(socket.id.idiag_sport)};
	out.remote = {*IpAddress::from_bytes(socket.id.idiag_dst, length), ntohs(socket.id.idiag_dport)};
	for (AttributeCursor at = message.attributes<inet_diag_msg>(); at.next();) {
		if (at.type() == INET_DIAG_INFO) {
			read_at(at, offsetof(tcp_info, tcpi_bytes_received), &out.bytes_received);
			read_at(at, offsetof(tcp_info, tcpi_bytes_acked), &out.bytes_sent);
		}
		if (at.type() != INET_DIAG_ULP_INFO)
			continue;
		for (AttributeCursor part = at.nested(); part.next();)
			if (part.type() == INET_ULP_INFO_MPTCP)
				mptcp = read_mptcp(part.nested(), &out);
	}
	return mptcp ? std::optional<MptcpSubflow>(out) : std::nullopt;
}

Result<std::vector<MptcpSubflow>> mptcp_subflows(const std::vector<uint16_t> &ports)
{
	std::vector<TcpEndpoint> endpoints;
	std::vector<MptcpSubflow> found;
	Netlink netlink;

	for (uint16_t port : ports)
		endpoints.push_back({{}, port});
	if (ports.empty())
		return found;
	if (Status status = netlink.open(NETLINK_SOCK_DIAG); !status.ok())
		return status;
	for (uint8_t family : {AF_INET, AF_INET6}) {
		const size_t before = found.size();
		std::vector<unsigned char> code;
		inet_diag_req_v2 head = {};

		if (!tcp_session_filter(endpoints, family, &code))
			continue;
		head.sdiag_family = family;
		head.sdiag_protocol = IPPROTO_TCP;
		head.idiag_states = STATES;
		head.idiag_ext = 1 << (INET_DIAG_INFO - 1);
		NetlinkRequest request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, 256 + code.size());
		request.family_header(head);
		request.attribute(INET_DIAG_REQ_BYTECODE, code.data(), code.size());
		Status status = netlink.stream(
			request, STEP, [&] { found.resize(before); },
			[&](const NetlinkMessage &message) {
				if (std::optional<MptcpSubflow> one = mptcp_subflow(message); one)
					found.push_back(*one);
			});
		if (!status.ok())
			return status;
	}
	return found;
}

} // namespace shunt
