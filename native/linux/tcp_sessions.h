// SPDX-License-Identifier: Apache-2.0
//
// tcp_sessions.h - the number of TCP sessions at local addresses and ports, by a dump of NETLINK_SOCK_DIAG (sock_diag(7)).
//
// A session is a connection that this host still has work with: ESTABLISHED; CLOSE_WAIT (the client has closed, the server
// has not); FIN_WAIT1 (the server has closed, and not all of its data is acknowledged). SYN_RECV does not count: a flood of
// forged SYNs must not look like load. FIN_WAIT2 and TIME_WAIT don't: most are remains of closed connections. A connection
// that was opened from the address and port counts like one that was opened to them.
//
// The kernel visits every socket of the network namespace and sends those that its filter accepts. The filter only saves
// time: each socket received is looked up again here.
//
// Owns: the filter's bytecode (<linux/inet_diag.h>), and the counts.
// Must never: trust a message's length, or return a count that a failed or interrupted dump was part of.
#ifndef SHUNT_LINUX_TCP_SESSIONS_H
#define SHUNT_LINUX_TCP_SESSIONS_H

#include <cstdint>
#include <vector>

#include "linux/ip_address.h"
#include "linux/netlink.h"
#include "linux/status.h"

namespace shunt
{

struct TcpEndpoint {
	IpAddress address; // ::: any, of both families; ::ffff:0.0.0.0: any IPv4
	uint16_t port;     // host order
};

class TcpSessionCounter
{
public:
	explicit TcpSessionCounter(const std::vector<TcpEndpoint> &endpoints);
	void clear();
	// Counts the socket that `message` describes. False if the message is too short for its type. Messages of other types
	// and sockets in other states are skipped. An IPv6 socket with an IPv4-mapped address counts as IPv4.
	bool add(const NetlinkMessage &message);
	// In the order of `endpoints`.
	std::vector<uint32_t> counts() const;

private:
	struct Entry {
		TcpEndpoint endpoint;
		uint32_t index; // in `endpoints`
		uint32_t count;
	};
	void add_at(const IpAddress &address, uint16_t port);

	std::vector<Entry> entries_; // by port, then address; equal ones are adjacent
};

// The kernel's bytecode (struct inet_diag_bc_op) that accepts every socket that `endpoints` may count, for a dump of one
// family (AF_INET, AF_INET6) or of both (AF_UNSPEC): a search tree of the ports, then the addresses at a port if they are
// few; a range of ports if that is too long for an attribute. False: no endpoint is of this family.
bool tcp_session_filter(const std::vector<TcpEndpoint> &endpoints, uint8_t family, std::vector<unsigned char> *code);

enum class TcpDump {
	at_once,   // both families in one pass over the sockets; by family if the kernel refuses
	by_family, // one pass each
};

// One count an endpoint, in their order. Blocks for the dump: 100 ms for 90,000 sockets. EAGAIN: changes interrupted four
// dumps.
Result<std::vector<uint32_t>> tcp_sessions(const std::vector<TcpEndpoint> &endpoints, TcpDump mode = TcpDump::at_once);

} // namespace shunt

#endif
