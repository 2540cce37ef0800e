// SPDX-License-Identifier: Apache-2.0
//
// tcp_sessions_test.cc - native/linux/tcp_sessions: the filter as the kernel would run it, messages that lie, real sockets.
#include <doctest/doctest.h>

#include "seeds.h"

#include <arpa/inet.h>
#include <cerrno>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "datapath/types.h"
#include "linux/descriptor.h"
#include "linux/tcp_sessions.h"

using namespace shunt;

namespace
{

using Bytes = std::vector<unsigned char>;

struct Random {
	u64 state;
	u32 next(u32 below)
	{
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		return (u32)(state >> 33) % below;
	}
};

IpAddress ipv4(u8 a, u8 b, u8 c, u8 d)
{
	return IpAddress::ipv4(a, b, c, d);
}

IpAddress ipv6(u8 last)
{
	IpAddress address = {};

	address.bytes[0] = 0x20, address.bytes[1] = 0x01, address.bytes[15] = last;
	return address;
}

struct Socket {
	u8 family;
	IpAddress address;
	u16 port;
};

inet_diag_bc_op op_at(const Bytes &code, size_t at)
{
	inet_diag_bc_op op;

	CHECK(at + sizeof(op) <= code.size());
	memcpy(&op, code.data() + at, sizeof(op));
	return op;
}

// What net/ipv4/inet_diag.c asks of a filter before it runs it.
void audit(const Bytes &code)
{
	std::vector<bool> begins(code.size() + 8);

	for (size_t at = 0; at < code.size(); at += op_at(code, at).yes) {
		begins[at] = true;
		CHECK((op_at(code, at).yes >= 4 && op_at(code, at).yes % 4 == 0));
	}
	begins[code.size()] = begins[code.size() + 4] = true;
	for (size_t at = 0; at < code.size(); at += op_at(code, at).yes) {
		inet_diag_bc_op op = op_at(code, at);

		CHECK(at + op.yes <= code.size());
		CHECK((op.no >= (op.code == INET_DIAG_BC_JMP ? 4 : op.yes) && op.no % 4 == 0));
		CHECK((at + op.no <= code.size() + 4 && begins[at + op.no]));
	}
}

bool lets_through(const Bytes &code, const Socket &socket, unsigned *steps = nullptr)
{
	size_t at = 0;

	while (at < code.size()) {
		inet_diag_bc_op op = op_at(code, at);
		bool yes = false;

		if (steps)
			++*steps;
		if (op.code == INET_DIAG_BC_S_GE)
			yes = socket.port >= op_at(code, at + 4).no;
		else if (op.code == INET_DIAG_BC_S_LE)
			yes = socket.port <= op_at(code, at + 4).no;
		else if (op.code == INET_DIAG_BC_S_EQ)
			yes = socket.port == op_at(code, at + 4).no;
		else if (op.code == INET_DIAG_BC_S_COND) {
			inet_diag_hostcond condition;
			bool mapped = socket.address.is_ipv4();

			memcpy(&condition, code.data() + at + 4, sizeof(condition));
			const u8 *have = socket.address.bytes.data() + (condition.family == AF_INET ? 12 : 0);
			CHECK_EQ(condition.port, -1);
			yes = (condition.family == AF_INET ? mapped : socket.family == AF_INET6) &&
			      !memcmp(have, code.data() + at + 4 + sizeof(condition), condition.prefix_len / 8);
		} else
			CHECK(op.code == INET_DIAG_BC_JMP);
		at += yes ? op.yes : op.no;
	}
	return at == code.size();
}

Bytes message_of(const Socket &socket, u8 state = TCP_ESTABLISHED)
{
	inet_diag_msg body = {};
	bool ipv6 = socket.family == AF_INET6;

	body.idiag_family = socket.family;
	body.idiag_state = state;
	body.id.idiag_sport = sh_htons(socket.port);
	memcpy(body.id.idiag_src, socket.address.bytes.data() + (ipv6 ? 0 : 12), ipv6 ? 16 : 4);
	return Bytes((unsigned char *)&body, (unsigned char *)(&body + 1));
}

bool add(TcpSessionCounter *counter, const Bytes &body, u16 type = SOCK_DIAG_BY_FAMILY)
{
	Bytes exact(body);

	exact.shrink_to_fit();
	return counter->add({type, exact.data(), exact.data() + exact.size()});
}

bool count(const std::vector<TcpEndpoint> &asked, std::vector<u32> *counts, TcpDump mode = TcpDump::at_once)
{
	Result<std::vector<u32>> result = tcp_sessions(asked, mode);

	if (result.ok())
		*counts = *result;
	return result.ok();
}

u32 counted(const std::vector<TcpEndpoint> &asked, size_t i = 0)
{
	std::vector<u32> counts, same;

	CHECK(count(asked, &counts));
	CHECK_EQ(counts.size(), asked.size());
	CHECK(count(asked, &same, TcpDump::by_family));
	CHECK(counts == same);
	return counts[i];
}

// A socket that closes itself.
struct Listener {
	Descriptor fd;
	sockaddr_in6 at = {};
	u16 port;

	// Of both families.
	Listener() : fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0))
	{
		socklen_t length = sizeof(at);
		int off = 0;

		at.sin6_family = AF_INET6;
		CHECK(!setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
		CHECK((!bind(fd.get(), (sockaddr *)&at, sizeof(at)) && !listen(fd.get(), 64)));
		CHECK(!getsockname(fd.get(), (sockaddr *)&at, &length));
		port = sh_ntohs(at.sin6_port);
	}
	Descriptor accept() const
	{
		Descriptor accepted(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC));

		CHECK(accepted.is_open());
		return accepted;
	}
	Descriptor connect4(u8 last) const
	{
		Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		sockaddr_in to = {};

		to.sin_family = AF_INET;
		to.sin_port = at.sin6_port;
		to.sin_addr.s_addr = htonl(0x7f000000u + last);
		CHECK(!connect(client.get(), (sockaddr *)&to, sizeof(to)));
		return client;
	}
	Descriptor connect6() const
	{
		Descriptor client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
		sockaddr_in6 to = at;

		to.sin6_addr = in6addr_loopback;
		CHECK(!connect(client.get(), (sockaddr *)&to, sizeof(to)));
		return client;
	}
};

} // namespace

TEST_CASE(
	"tcp sessions: R10: the filter passes the kernel's audit and accepts every socket that counts, and few others")
{
	for (u64 seed = 1; seed <= seeds(200); seed++) {
		Random random = {seed * 0x9e3779b97f4a7c15ULL};
		std::vector<TcpEndpoint> asked;
		u32 ports = 1 + random.next(seed % 20 ? 40 : 4000),
		    each = 1 + random.next(seed % 3 || ports > 40 ? 3 : 40);
		std::vector<bool> at(65536);
		auto address = [&]() -> IpAddress {
			switch (random.next(12)) {
			case 0:
				return IpAddress{};
			case 1:
				return ipv4(0, 0, 0, 0);
			case 2:
			case 3:
			case 4:
				return ipv6((u8)random.next(8));
			default:
				return ipv4(10, 0, 0, (u8)random.next(8));
			}
		};

		for (u32 i = 0; i < ports; i++) {
			u16 port = (u16)(1 + random.next(65535));
			for (u32 k = 0; k < each; k++)
				asked.push_back({address(), port});
			at[port] = true;
		}
		for (u8 dump : {AF_INET, AF_INET6, AF_UNSPEC}) {
			Bytes code;

			if (!tcp_session_filter(asked, dump, &code))
				continue;
			audit(code);
			for (unsigned i = 0; i < 400; i++) {
				const TcpEndpoint &near = asked[random.next((u32)asked.size())];
				u8 family = dump != AF_UNSPEC ? dump : random.next(2) ? AF_INET : AF_INET6;
				bool mapped = family == AF_INET || random.next(2);
				Socket socket = {family,
				                 mapped ? ipv4(10, 0, 0, (u8)random.next(9)) : ipv6((u8)random.next(9)),
				                 (u16)(near.port + (random.next(3) ? 0 : random.next(3) - 1))};
				TcpSessionCounter counter(asked);
				bool counts = false;
				unsigned steps = 0;

				if (ports < 100) {
					CHECK(add(&counter, message_of(socket)));
					for (u32 count : counter.counts())
						counts = counts || count;
				}
				bool through = lets_through(code, socket, &steps);
				CHECK((!counts || through));
				CHECK(steps < 64);
				// Beyond what an attribute holds, the filter is a range of two operations.
				if (code.size() > 16)
					CHECK((!through || at[socket.port]));
				if (each < 10 && ports < 100)
					CHECK(through == counts);
			}
		}
	}
}

TEST_CASE("tcp sessions: R10: counts are in the order of the endpoints, equal for equal ones, and IPv4-mapped "
          "addresses are "
          "IPv4")
{
	std::vector<TcpEndpoint> asked = {{ipv4(10, 0, 0, 1), 80}, {IpAddress{}, 80},      {ipv6(1), 80},
	                                  {ipv4(10, 0, 0, 1), 80}, {ipv4(0, 0, 0, 0), 80}, {ipv4(10, 0, 0, 2), 80},
	                                  {IpAddress{}, 81}};
	TcpSessionCounter counter(asked);

	CHECK(add(&counter, message_of({AF_INET, ipv4(10, 0, 0, 1), 80})));
	CHECK(add(&counter, message_of({AF_INET6, ipv4(10, 0, 0, 1), 80}, TCP_CLOSE_WAIT)));
	CHECK(add(&counter, message_of({AF_INET6, ipv6(1), 80}, TCP_FIN_WAIT1)));
	CHECK(add(&counter, message_of({AF_INET6, ipv6(2), 80})));
	for (u32 state = 0; state < 256; state++)
		if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT && state != TCP_FIN_WAIT1)
			CHECK(add(&counter, message_of({AF_INET, ipv4(10, 0, 0, 1), 80}, (u8)state)));
	CHECK((counter.counts() == std::vector<u32>{2, 4, 1, 2, 2, 0, 0}));
	counter.clear();
	CHECK((counter.counts() == std::vector<u32>(7)));
}

TEST_CASE("tcp sessions: a message that is too short is an error, one of another type is skipped, random bytes do no "
          "harm")
{
	TcpSessionCounter counter({{IpAddress{}, 80}});
	Bytes whole = message_of({AF_INET, ipv4(10, 0, 0, 1), 80});
	Random random = {7};

	for (size_t length = 0; length < whole.size(); length++)
		CHECK(!add(&counter, Bytes(whole.begin(), whole.begin() + (long)length)));
	CHECK((add(&counter, whole, 99) && add(&counter, Bytes(), 99)));
	CHECK(add(&counter, message_of({AF_UNIX, ipv4(10, 0, 0, 1), 80})));
	CHECK_EQ(counter.counts()[0], 0);
	for (unsigned i = 0; i < 200000; i++) {
		Bytes bytes(random.next(160));

		for (unsigned char &byte : bytes)
			byte = (unsigned char)(random.next(2) ? random.next(256) : random.next(16));
		add(&counter, bytes);
		if (bytes.size() >= NLMSG_HDRLEN) {
			nlmsghdr head = {(u32)bytes.size() - random.next(3), SOCK_DIAG_BY_FAMILY, 0, 7, 0};

			memcpy(bytes.data(), &head, sizeof(head));
			bytes.shrink_to_fit();
			netlink_walk(
				bytes.data(), bytes.size(), 7, true,
				[&](const NetlinkMessage &one) { counter.add(one); }, "test");
		}
	}
}

TEST_CASE(
	"tcp sessions: R10: real sockets on loopback are counted by local address: IPv4, IPv6, mapped; half-closed too")
{
	Listener listener, other;
	std::vector<Descriptor> held;
	std::vector<TcpEndpoint> asked = {
		{ipv4(127, 0, 0, 1), listener.port}, {ipv4(127, 0, 0, 2), listener.port}, {IpAddress{}, listener.port},
		{IpAddress{}, other.port},           {ipv4(0, 0, 0, 0), listener.port},   {IpAddress{}, listener.port},
	};
	IpAddress one = {};
	one.bytes[15] = 1;
	asked.push_back({one, listener.port});
	std::vector<u32> counts;

	CHECK(count(asked, &counts));
	CHECK(counts == std::vector<u32>(7));
	for (unsigned i = 0; i < 30; i++) {
		// The server's end of an IPv4 connection is in mapped form here.
		held.push_back(i < 10 ? listener.connect4(1) : i < 15 ? listener.connect4(2) : listener.connect6());
		held.push_back(listener.accept());
	}
	Descriptor apart = other.connect4(1), served = other.accept();
	CHECK(count(asked, &counts));
	CHECK((counts == std::vector<u32>{10, 5, 30, 1, 15, 30, 15}));
	CHECK(count(asked, &counts, TcpDump::by_family));
	CHECK((counts == std::vector<u32>{10, 5, 30, 1, 15, 30, 15}));

	held[0].reset();                          // the client has said its last: the server's end is in CLOSE_WAIT
	CHECK(!shutdown(held[3].get(), SHUT_WR)); // the server has; once that is acknowledged, it is FIN_WAIT2
	for (unsigned i = 0; i < 200 && (i == 0 || counts[0] == 10); i++) {
		usleep(10000);
		CHECK(count(asked, &counts));
	}
	CHECK((counts == std::vector<u32>{9, 5, 29, 1, 14, 29, 15}));
	held.clear();
	CHECK_EQ(counted(asked, 2), 0);
	CHECK_EQ(counted({{ipv4(127, 0, 0, 1), other.port}}), 1);
	CHECK(count({}, &counts));
	CHECK(counts.empty());
}

TEST_CASE("tcp sessions: R10: the kernel takes filters of all sizes, and a count is the same by each")
{
	Listener listener;
	Descriptor client = listener.connect4(3), server = listener.accept();

	for (unsigned ports : {1u, 2u, 3u, 17u, 1000u, 3100u, 20000u}) {
		std::vector<TcpEndpoint> asked = {{ipv4(127, 0, 0, 3), listener.port}};

		for (unsigned i = 1; i < ports; i++)
			asked.push_back({i % 3 ? ipv4(127, 0, 0, (u8)(3 + i % 2)) : ipv6(1), (u16)(1 + i * 3)});
		CHECK_EQ(counted(asked), 1);
	}
	for (unsigned addresses : {2u, 16u, 17u, 200u}) {
		std::vector<TcpEndpoint> asked;

		for (unsigned i = 0; i < addresses; i++)
			asked.push_back({i % 3 == 2 ? ipv6((u8)i) : ipv4(127, 0, 0, (u8)(3 + i)), listener.port});
		CHECK_EQ(counted(asked), 1);
	}
}
