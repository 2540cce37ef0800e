// SPDX-License-Identifier: Apache-2.0
//
// tcp_sessions.h - how many TCP sessions the kernel holds at local addresses and ports, by a dump of NETLINK_SOCK_DIAG.
//
// A session is a connection that this host still has work with: ESTABLISHED; CLOSE_WAIT (the client has said its last, the
// server has not); FIN_WAIT1 (the server has said its last, and not all of it has arrived). SYN_RECV does not count: a
// flood of forged requests must not look like load. FIN_WAIT2 and TIME_WAIT don't: most are a closed connection's remains.
// A connection that was made from the address and port counts like one that was made to them.
//
// The kernel looks at every socket of the network namespace and sends what its filter lets through. The filter is only
// there to save time: each socket that comes is looked up once more here.
//
// Owns: the filter's bytecode, and the counts.
// Must never: believe a message's length, or give a count that a failed or interrupted dump was part of.
#ifndef SHUNT_LINUX_TCP_SESSIONS_H
#define SHUNT_LINUX_TCP_SESSIONS_H

#include <vector>

#include "datapath/types.h"
#include "linux/failure.h"
#include "linux/netlink.h"

namespace shunt
{

struct TcpEndpoint {
	sh_addr address; // IPv4 in mapped form. All zeros: any, of both families; ::ffff:0.0.0.0: any IPv4
	u16 port;        // host order
};

class TcpSessionCounter
{
public:
	explicit TcpSessionCounter(const std::vector<TcpEndpoint> &asked);
	void clear();
	// False when the message is too short for what it claims to be. What is no socket, or in no state that counts, is
	// passed over. A socket in mapped form is an IPv4 one.
	bool add(const NetlinkMessage &message);
	// In the order asked.
	std::vector<u32> counts() const;

private:
	struct Entry {
		TcpEndpoint endpoint;
		u32 place; // in what was asked
		u32 count;
	};
	void add_at(const sh_addr &address, u16 port);

	std::vector<Entry> entries_; // by port, then address; equal ones stand together
};

// The kernel's bytecode (struct inet_diag_bc_op) that lets through what `asked` may count, for a dump of this family, or of
// both (AF_UNSPEC):
// a search tree of the ports, then the addresses at the port where they are few. False: nothing of this family is asked for.
bool tcp_session_filter(const std::vector<TcpEndpoint> &asked, u8 family, std::vector<unsigned char> *code);

enum class TcpDump {
	at_once,   // both families in one pass over the sockets; by family where the kernel refuses
	by_family, // one pass each
};

// EAGAIN: interrupted by changes too often.
Failure tcp_sessions(const std::vector<TcpEndpoint> &asked, std::vector<u32> *counts, TcpDump way = TcpDump::at_once);

} // namespace shunt

#endif
