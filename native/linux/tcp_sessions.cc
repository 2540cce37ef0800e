// SPDX-License-Identifier: Apache-2.0
//
// tcp_sessions.cc - see the header.
#include "linux/tcp_sessions.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace shunt
{

namespace
{

constexpr u32 STATES = 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT | 1U << TCP_FIN_WAIT1;
constexpr size_t CODE_MAX = 60000;    // an attribute ends at 65535 bytes, and so does a jump
constexpr size_t CONDITIONS_MAX = 16; // of addresses at one port: a look at one costs 1 % of a message
constexpr const char *STEP = "NETLINK_SOCK_DIAG";

const sh_addr ANY = {};

sh_addr any_ipv4()
{
	return sh_addr_v4(0);
}

bool is_ipv4(const sh_addr &address)
{
	return address.w[0] == 0 && address.w[1] == 0 && address.w[2] == sh_htonl(0xffff);
}

int compare(const TcpEndpoint &a, const TcpEndpoint &b)
{
	return a.port != b.port ? (a.port < b.port ? -1 : 1) : memcmp(&a.address, &b.address, sizeof(sh_addr));
}

// What a dump of one family has to let through at a port.
struct Leaf {
	u16 port;
	bool all = false;               // whatever the address
	std::vector<sh_addr> addresses; // else these
};

std::vector<Leaf> leaves_of(std::vector<TcpEndpoint> asked, u8 family)
{
	std::vector<Leaf> leaves;

	std::sort(asked.begin(), asked.end(), [](const auto &a, const auto &b) { return compare(a, b) < 0; });
	for (const TcpEndpoint &one : asked) {
		bool any = sh_addr_equal(&one.address, &ANY);

		if (family == AF_INET && !any && !is_ipv4(one.address))
			continue;
		if (leaves.empty() || leaves.back().port != one.port)
			leaves.push_back({one.port, false, {}});
		Leaf &leaf = leaves.back();
		sh_addr any4 = any_ipv4();
		if (any || (family == AF_INET && sh_addr_equal(&one.address, &any4)))
			leaf.all = true;
		else if (leaf.addresses.empty() || !sh_addr_equal(&leaf.addresses.back(), &one.address))
			leaf.addresses.push_back(one.address);
		if (leaf.addresses.size() > CONDITIONS_MAX)
			leaf.all = true;
	}
	return leaves;
}

// An operation's "yes" always leads to the next one, its "no" somewhere behind: to the end, which lets the socket through,
// or four bytes beyond, which doesn't. The kernel wants it so, and checks it.
class FilterCode
{
public:
	// The first leaf from which on the port may be is `from`, the last before `to`.
	void tree(const std::vector<Leaf> &leaves, size_t from, size_t to)
	{
		if (to - from == 1) {
			leaf(leaves[from]);
			return;
		}
		size_t middle = from + (to - from) / 2;
		size_t branch = compare_port(INET_DIAG_BC_S_GE, leaves[middle].port);
		tree(leaves, middle, to);
		set_no(branch, code_.size() - branch);
		tree(leaves, from, middle);
	}

	void range(u16 least, u16 most)
	{
		rejects_.push_back(compare_port(INET_DIAG_BC_S_GE, least));
		rejects_.push_back(compare_port(INET_DIAG_BC_S_LE, most));
	}

	std::vector<unsigned char> finish()
	{
		for (size_t at : accepts_)
			set_no(at, code_.size() - at);
		for (size_t at : rejects_)
			set_no(at, code_.size() - at + 4);
		return std::move(code_);
	}

	size_t size() const { return code_.size(); }

private:
	void leaf(const Leaf &leaf)
	{
		rejects_.push_back(compare_port(INET_DIAG_BC_S_EQ, leaf.port));
		if (leaf.all) {
			accept();
			return;
		}
		for (size_t i = 0; i < leaf.addresses.size(); i++) {
			size_t at = compare_address(leaf.addresses[i]);

			accept();
			if (i + 1 < leaf.addresses.size())
				set_no(at, code_.size() - at);
			else
				rejects_.push_back(at);
		}
	}

	void accept() { accepts_.push_back(operation(INET_DIAG_BC_JMP, sizeof(inet_diag_bc_op))); }

	size_t compare_port(u8 code, u16 port)
	{
		size_t at = operation(code, 2 * sizeof(inet_diag_bc_op));
		inet_diag_bc_op argument = {0, 0, port};

		append(&argument, sizeof(argument));
		return at;
	}

	size_t compare_address(const sh_addr &address)
	{
		bool ipv4 = is_ipv4(address);
		size_t length = ipv4 ? 4 : 16;
		inet_diag_hostcond condition = {};

		condition.family = ipv4 ? AF_INET : AF_INET6;
		condition.prefix_len = (u8)(ipv4 && address.w[3] == 0 ? 0 : length * 8);
		condition.port = -1;
		size_t at = operation(INET_DIAG_BC_S_COND, sizeof(inet_diag_bc_op) + sizeof(condition) + length);
		append(&condition, sizeof(condition));
		append(ipv4 ? address.b + 12 : address.b, length);
		return at;
	}

	size_t operation(u8 code, size_t length)
	{
		size_t at = code_.size();
		inet_diag_bc_op op = {code, (u8)length, 0};

		append(&op, sizeof(op));
		return at;
	}

	void append(const void *data, size_t length)
	{
		const auto *from = static_cast<const unsigned char *>(data);

		code_.insert(code_.end(), from, from + length);
	}

	void set_no(size_t at, size_t distance)
	{
		u16 no = (u16)distance;

		memcpy(code_.data() + at + offsetof(inet_diag_bc_op, no), &no, sizeof(no));
	}

	std::vector<unsigned char> code_;
	std::vector<size_t> accepts_, rejects_;
};

// The port, when there is but one: the kernel then passes over all other sockets before it runs the filter.
be16 only_port(const std::vector<TcpEndpoint> &asked)
{
	for (const TcpEndpoint &one : asked)
		if (one.port != asked[0].port)
			return 0;
	return sh_htons(asked[0].port);
}

template <typename Head>
Failure dump(Netlink *netlink, u16 type, const Head &head, const std::vector<unsigned char> &code,
             TcpSessionCounter *counter)
{
	NetlinkRequest request(type, NLM_F_DUMP, 256 + code.size());
	bool whole = true;

	request.body(&head, sizeof(head));
	request.attribute(INET_DIAG_REQ_BYTECODE, code.data(), code.size());
	Failure failure = netlink->stream(
		request, STEP,
		[&] {
			counter->clear();
			whole = true;
		},
		[&](const NetlinkMessage &message) { whole = counter->add(message) && whole; });
	return failure ? failure : whole ? Failure{} : Failure{STEP, EBADMSG};
}

// The older request has no family, and so the kernel goes through its sockets once instead of once for each family.
Failure dump_both(Netlink *netlink, const std::vector<TcpEndpoint> &asked, TcpSessionCounter *counter)
{
	std::vector<unsigned char> code;
	inet_diag_req head = {};

	tcp_session_filter(asked, AF_UNSPEC, &code);
	head.idiag_family = AF_INET; // is not looked at
	head.idiag_states = STATES;
	head.id.idiag_sport = only_port(asked);
	return dump(netlink, TCPDIAG_GETSOCK, head, code, counter);
}

Failure dump_family(Netlink *netlink, const std::vector<TcpEndpoint> &asked, u8 family, TcpSessionCounter *counter)
{
	std::vector<unsigned char> code;
	inet_diag_req_v2 head = {};

	counter->clear();
	if (!tcp_session_filter(asked, family, &code))
		return {};
	head.sdiag_family = family;
	head.sdiag_protocol = IPPROTO_TCP;
	head.idiag_states = STATES;
	head.id.idiag_sport = only_port(asked);
	return dump(netlink, SOCK_DIAG_BY_FAMILY, head, code, counter);
}

} // namespace

TcpSessionCounter::TcpSessionCounter(const std::vector<TcpEndpoint> &asked)
{
	for (const TcpEndpoint &one : asked)
		entries_.push_back({one, (u32)entries_.size(), 0});
	std::sort(entries_.begin(), entries_.end(),
	          [](const Entry &a, const Entry &b) { return compare(a.endpoint, b.endpoint) < 0; });
}

void TcpSessionCounter::clear()
{
	for (Entry &entry : entries_)
		entry.count = 0;
}

// Of equal entries the first one counts for all.
void TcpSessionCounter::add_at(const sh_addr &address, u16 port)
{
	TcpEndpoint wanted = {address, port};
	auto before = [](const Entry &entry, const TcpEndpoint &w) { return compare(entry.endpoint, w) < 0; };
	auto found = std::lower_bound(entries_.begin(), entries_.end(), wanted, before);

	if (found != entries_.end() && compare(found->endpoint, wanted) == 0)
		found->count++;
}

bool TcpSessionCounter::add(const NetlinkMessage &message)
{
	inet_diag_msg socket;
	sh_addr address;

	if (message.type != SOCK_DIAG_BY_FAMILY && message.type != TCPDIAG_GETSOCK)
		return true;
	if (!message.head(&socket))
		return false;
	if (socket.idiag_state >= 32 || !(1U << socket.idiag_state & STATES))
		return true;
	if (socket.idiag_family == AF_INET)
		address = sh_addr_v4(socket.id.idiag_src[0]);
	else if (socket.idiag_family == AF_INET6)
		memcpy(&address, socket.id.idiag_src, sizeof(address));
	else
		return true;
	u16 port = sh_ntohs(socket.id.idiag_sport);
	add_at(address, port);
	if (!sh_addr_equal(&address, &ANY))
		add_at(ANY, port);
	sh_addr any4 = any_ipv4();
	if (is_ipv4(address) && !sh_addr_equal(&address, &any4))
		add_at(any4, port);
	return true;
}

std::vector<u32> TcpSessionCounter::counts() const
{
	std::vector<u32> out(entries_.size());

	for (size_t i = 0, first = 0; i < entries_.size(); i++) {
		if (compare(entries_[i].endpoint, entries_[first].endpoint) != 0)
			first = i;
		out[entries_[i].place] = entries_[first].count;
	}
	return out;
}

bool tcp_session_filter(const std::vector<TcpEndpoint> &asked, u8 family, std::vector<unsigned char> *code)
{
	std::vector<Leaf> leaves = leaves_of(asked, family);
	FilterCode tree, range;

	if (leaves.empty())
		return false;
	tree.tree(leaves, 0, leaves.size());
	range.range(leaves.front().port, leaves.back().port);
	*code = tree.size() <= CODE_MAX ? tree.finish() : range.finish();
	return true;
}

Failure tcp_sessions(const std::vector<TcpEndpoint> &asked, std::vector<u32> *counts, TcpDump way)
{
	TcpSessionCounter counter(asked);
	Netlink netlink;

	counts->assign(asked.size(), 0);
	if (asked.empty())
		return {};
	if (Failure failure = netlink.open(NETLINK_SOCK_DIAG))
		return failure;
	if (way == TcpDump::at_once) {
		Failure failure = dump_both(&netlink, asked, &counter);

		if (!failure)
			*counts = counter.counts();
		// A kernel that no longer knows the older request.
		if (failure.code != EINVAL && failure.code != ENOENT && failure.code != EOPNOTSUPP)
			return failure;
	}
	// A socket belongs to one family only, so that no connection comes twice.
	std::vector<u32> sum(asked.size());
	for (u8 family : {AF_INET, AF_INET6}) {
		if (Failure failure = dump_family(&netlink, asked, family, &counter))
			return failure;
		std::vector<u32> part = counter.counts();
		for (size_t i = 0; i < part.size(); i++)
			sum[i] += part[i];
	}
	*counts = std::move(sum);
	return {};
}

} // namespace shunt
