// SPDX-License-Identifier: Apache-2.0
//
// mptcp_test.cc - native/linux/mptcp_*: events and subflows as the kernel writes them, and messages that lie about lengths.
#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "linux/mptcp_path_manager.h"
#include "linux/mptcp_subflows.h"

using namespace shunt;

namespace
{

using Bytes = std::vector<unsigned char>;

void append(Bytes *out, const void *data, size_t length)
{
	const auto *from = static_cast<const unsigned char *>(data);

	out->insert(out->end(), from, from + length);
	out->resize(NLA_ALIGN(out->size()));
}

void attribute(Bytes *out, uint16_t type, const void *data, size_t length)
{
	nlattr head = {(uint16_t)(sizeof(nlattr) + length), type};

	append(out, &head, sizeof(head));
	append(out, data, length);
}

template <typename T> void attribute(Bytes *out, uint16_t type, T value)
{
	attribute(out, type, &value, sizeof(value));
}

NetlinkMessage message_of(const Bytes &bytes, size_t length, uint16_t type = 0)
{
	return {type, bytes.data(), bytes.data() + length};
}

Bytes event_bytes(uint8_t command)
{
	genlmsghdr head = {command, 1, 0};
	IpAddress local = IpAddress::ipv4(203, 0, 113, 80), remote = IpAddress::ipv4(198, 51, 100, 7);
	Bytes out;

	append(&out, &head, sizeof(head));
	attribute<uint32_t>(&out, MPTCP_ATTR_TOKEN, 0xdeadbeef);
	attribute<uint8_t>(&out, MPTCP_ATTR_LOC_ID, 200);
	attribute(&out, MPTCP_ATTR_SADDR4, local.data(), 4);
	attribute(&out, MPTCP_ATTR_DADDR4, remote.data(), 4);
	attribute<uint16_t>(&out, MPTCP_ATTR_SPORT, htons(80));
	attribute<uint16_t>(&out, MPTCP_ATTR_DPORT, htons(40000));
	return out;
}

} // namespace

TEST_CASE("MPTCP: an event is read whole")
{
	Bytes bytes = event_bytes(MPTCP_EVENT_SUB_ESTABLISHED);
	std::optional<MptcpEvent> event = mptcp_event(message_of(bytes, bytes.size()));

	REQUIRE(event);
	CHECK(event->type == MptcpEventType::subflow_established);
	CHECK(event->token == 0xdeadbeef);
	CHECK(event->local_id == 200);
	CHECK(event->local.address == IpAddress::ipv4(203, 0, 113, 80));
	CHECK(event->local.port == 80);
	CHECK(event->remote.address == IpAddress::ipv4(198, 51, 100, 7));
	CHECK(event->remote.port == 40000);
}

TEST_CASE("MPTCP: other events, and one without a token, are none")
{
	Bytes other = event_bytes(MPTCP_EVENT_ANNOUNCED);
	genlmsghdr head = {MPTCP_EVENT_CLOSED, 1, 0};
	Bytes bare;

	append(&bare, &head, sizeof(head));
	CHECK(!mptcp_event(message_of(other, other.size())));
	CHECK(!mptcp_event(message_of(bare, bare.size())));
}

TEST_CASE("MPTCP: an attribute that is too short for its type voids the event, and no length reads beyond the end")
{
	Bytes whole = event_bytes(MPTCP_EVENT_ESTABLISHED);
	Bytes bad = whole;

	attribute<uint16_t>(&bad, MPTCP_ATTR_SADDR6, 1);
	CHECK(!mptcp_event(message_of(bad, bad.size())));
	for (size_t length = 0; length < whole.size(); length++) {
		Bytes exact(whole.begin(), whole.begin() + (long)length); // an address sanitizer sees each byte beyond
		std::optional<MptcpEvent> event = mptcp_event(message_of(exact, length));

		CHECK(event.has_value() == (length >= sizeof(genlmsghdr) + 8));
	}
}

TEST_CASE("MPTCP: a subflow is read with its counters; plain TCP, and every cut, is none or safe")
{
	inet_diag_msg socket = {};
	Bytes bytes, ulp, mptcp;
	std::vector<unsigned char> info(512);
	uint64_t acked = 7000, received = 9000;

	socket.idiag_family = AF_INET;
	socket.id.idiag_sport = htons(80);
	socket.id.idiag_dport = htons(40001);
	socket.id.idiag_src[0] = htonl(0x0a4d0b02);
	socket.id.idiag_dst[0] = htonl(0xc6336407);
	memcpy(info.data() + 120, &acked, sizeof(acked)); // offsets of struct tcp_info, which do not change
	memcpy(info.data() + 128, &received, sizeof(received));
	append(&bytes, &socket, sizeof(socket));
	attribute(&bytes, INET_DIAG_INFO, info.data(), info.size());
	CHECK(!mptcp_subflow(message_of(bytes, bytes.size(), SOCK_DIAG_BY_FAMILY)));
	attribute<uint32_t>(&mptcp, MPTCP_SUBFLOW_ATTR_TOKEN_LOC, 42);
	attribute<uint8_t>(&mptcp, MPTCP_SUBFLOW_ATTR_ID_LOC, 200);
	attribute<uint32_t>(&mptcp, MPTCP_SUBFLOW_ATTR_FLAGS, MPTCP_SUBFLOW_FLAG_JOIN_REM);
	attribute(&ulp, INET_ULP_INFO_NAME, "mptcp", 6);
	attribute(&ulp, INET_ULP_INFO_MPTCP, mptcp.data(), mptcp.size());
	attribute(&bytes, INET_DIAG_ULP_INFO, ulp.data(), ulp.size());
	std::optional<MptcpSubflow> subflow = mptcp_subflow(message_of(bytes, bytes.size(), SOCK_DIAG_BY_FAMILY));
	REQUIRE(subflow);
	CHECK(subflow->token == 42);
	CHECK(subflow->local_id == 200);
	CHECK(subflow->joined);
	CHECK(subflow->local.address == IpAddress::ipv4(10, 77, 11, 2));
	CHECK(subflow->local.port == 80);
	CHECK(subflow->remote.port == 40001);
	CHECK(subflow->bytes_sent == 7000);
	CHECK(subflow->bytes_received == 9000);
	for (size_t length = 0; length < bytes.size(); length++) {
		Bytes exact(bytes.begin(), bytes.begin() + (long)length);

		CHECK(!mptcp_subflow(message_of(exact, length, SOCK_DIAG_BY_FAMILY)));
	}
}
