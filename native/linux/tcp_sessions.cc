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

constexpr uint32_t STATES = 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT | 1U << TCP_FIN_WAIT1;
constexpr size_t CODE_MAX = 60000;    // an attribute ends at 65535 bytes, and so does a jump
constexpr size_t CONDITIONS_MAX = 16; // of addresses at one port: a look at one costs 1 % of a message
constexpr const char *STEP = "NETLINK_SOCK_DIAG";

const IpAddress ANY = {};
const IpAddress ANY_IPV4 = IpAddress::ipv4(0, 0, 0, 0);

int compare(const TcpEndpoint &a, const TcpEndpoint &b)
{
	if (a.port != b.port)
		return a.port < b.port ? -1 : 1;
	return a.address == b.address ? 0 : a.address < b.address ? -1 : 1;
}

// The sockets that a dump of one family must accept at a port.
struct Leaf {
	uint16_t port;
	bool all = false;                 // at every address
	std::vector<IpAddress> addresses; // else at these
};

std::vector<Leaf> leaves_of(std::vector<TcpEndpoint> endpoints, uint8_t family)
{
	std::vector<Leaf> leaves;

	std::sort(endpoints.begin(), endpoints.end(), [](const auto &a, const auto &b) { return compare(a, b) < 0; });
	for (const TcpEndpoint &one : endpoints) {
		bool any = one.address == ANY;

		if (family == AF_INET && !any && !one.address.is_ipv4())
			continue;
		if (leaves.empty() || leaves.back().port != one.port)
			leaves.push_back({one.port, false, {}});
		Leaf &leaf = leaves.back();
		if (any || (family == AF_INET && one.address == ANY_IPV4))
			leaf.all = true;
		else if (leaf.addresses.empty() || leaf.addresses.back() != one.address)
			leaf.addresses.push_back(one.address);
		if (leaf.addresses.size() > CONDITIONS_MAX)
			leaf.all = true;
	}
	return leaves;
}

// An operation's "yes" jump goes to the next one, its "no" jump forward: to the end, which accepts the socket, or four
// bytes beyond, which rejects it. The kernel demands both (net/ipv4/inet_diag.c, inet_diag_bc_audit()).

class FilterCode
{
public:
	// A binary search among leaves[from] to leaves[to - 1].
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

	void range(uint16_t least, uint16_t most)
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

	size_t compare_port(uint8_t code, uint16_t port)
	{
		size_t at = operation(code, 2 * sizeof(inet_diag_bc_op));
		inet_diag_bc_op argument = {0, 0, port};

		append(&argument, sizeof(argument));
		return at;
	}

	size_t compare_address(const IpAddress &address)
	{
		bool any = address == ANY_IPV4;
		inet_diag_hostcond condition = {};

		condition.family = address.family();
		condition.prefix_len = static_cast<uint8_t>(any ? 0 : address.size() * 8);
		condition.port = -1;
		size_t at =
			operation(INET_DIAG_BC_S_COND, sizeof(inet_diag_bc_op) + sizeof(condition) + address.size());
		append(&condition, sizeof(condition));
		append(address.data(), address.size());
		return at;
	}

	size_t operation(uint8_t code, size_t length)
	{
		size_t at = code_.size();
		inet_diag_bc_op op = {code, (uint8_t)length, 0};

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
		uint16_t no = (uint16_t)distance;

		memcpy(code_.data() + at + offsetof(inet_diag_bc_op, no), &no, sizeof(no));
	}

	std::vector<unsigned char> code_;
	std::vector<size_t> accepts_, rejects_;
};

// The port in network order if there is only one, else 0: the kernel then skips other sockets before it runs the filter.
uint16_t only_port(const std::vector<TcpEndpoint> &endpoints)
{
	for (const TcpEndpoint &one : endpoints)
		if (one.port != endpoints[0].port)
			return 0;
	return htons(endpoints[0].port);
}

template <typename Head>
Status dump(Netlink *netlink, uint16_t type, const Head &head, const std::vector<unsigned char> &code,
            TcpSessionCounter *counter)
{
	NetlinkRequest request(type, NLM_F_DUMP, 256 + code.size());
	bool complete = true;

	request.family_header(head);
	request.attribute(INET_DIAG_REQ_BYTECODE, code.data(), code.size());
	Status status = netlink->stream(
		request, STEP,
		[&] {
			counter->clear();
			complete = true;
		},
		[&](const NetlinkMessage &message) { complete = counter->add(message) && complete; });
	return status.ok() && !complete ? Status::system(STEP, EBADMSG) : status;
}

// The older request has no family, so the kernel visits its sockets once instead of once a family.
Status dump_both(Netlink *netlink, const std::vector<TcpEndpoint> &endpoints, TcpSessionCounter *counter)
{
	std::vector<unsigned char> code;
	inet_diag_req head = {};

	tcp_session_filter(endpoints, AF_UNSPEC, &code);
	head.idiag_family = AF_INET; // ignored
	head.idiag_states = STATES;
	head.id.idiag_sport = only_port(endpoints);
	return dump(netlink, TCPDIAG_GETSOCK, head, code, counter);
}

Status dump_family(Netlink *netlink, const std::vector<TcpEndpoint> &endpoints, uint8_t family,
                   TcpSessionCounter *counter)
{
	std::vector<unsigned char> code;
	inet_diag_req_v2 head = {};

	counter->clear();
	if (!tcp_session_filter(endpoints, family, &code))
		return {};
	head.sdiag_family = family;
	head.sdiag_protocol = IPPROTO_TCP;
	head.idiag_states = STATES;
	head.id.idiag_sport = only_port(endpoints);
	return dump(netlink, SOCK_DIAG_BY_FAMILY, head, code, counter);
}

} // namespace

TcpSessionCounter::TcpSessionCounter(const std::vector<TcpEndpoint> &endpoints)
{
	for (const TcpEndpoint &one : endpoints)
		entries_.push_back({one, static_cast<uint32_t>(entries_.size()), 0});
	std::sort(entries_.begin(), entries_.end(),
	          [](const Entry &a, const Entry &b) { return compare(a.endpoint, b.endpoint) < 0; });
}

void TcpSessionCounter::clear()
{
	for (Entry &entry : entries_)
		entry.count = 0;
}

// Of equal entries the first one holds the count of all.
void TcpSessionCounter::add_at(const IpAddress &address, uint16_t port)
{
	TcpEndpoint endpoint = {address, port};
	auto before = [](const Entry &entry, const TcpEndpoint &other) { return compare(entry.endpoint, other) < 0; };
	auto found = std::lower_bound(entries_.begin(), entries_.end(), endpoint, before);

	if (found != entries_.end() && compare(found->endpoint, endpoint) == 0)
		found->count++;
}

bool TcpSessionCounter::add(const NetlinkMessage &message)
{
	inet_diag_msg socket;
	IpAddress address;

	if (message.type != SOCK_DIAG_BY_FAMILY && message.type != TCPDIAG_GETSOCK)
		return true;
	if (!message.head(&socket))
		return false;
	if (socket.idiag_state >= 32 || !(1U << socket.idiag_state & STATES))
		return true;
	if (socket.idiag_family == AF_INET)
		address = *IpAddress::from_bytes(socket.id.idiag_src, 4);
	else if (socket.idiag_family == AF_INET6)
		memcpy(address.bytes.data(), socket.id.idiag_src, sizeof(address));
	else
		return true;
	uint16_t port = ntohs(socket.id.idiag_sport);
	add_at(address, port);
	if (address != ANY)
		add_at(ANY, port);
	if (address.is_ipv4() && address != ANY_IPV4)
		add_at(ANY_IPV4, port);
	return true;
}

std::vector<uint32_t> TcpSessionCounter::counts() const
{
	std::vector<uint32_t> out(entries_.size());

	for (size_t i = 0, first = 0; i < entries_.size(); i++) {
		if (compare(entries_[i].endpoint, entries_[first].endpoint) != 0)
			first = i;
		out[entries_[i].index] = entries_[first].count;
	}
	return out;
}

bool tcp_session_filter(const std::vector<TcpEndpoint> &endpoints, uint8_t family, std::vector<unsigned char> *code)
{
	std::vector<Leaf> leaves = leaves_of(endpoints, family);
	FilterCode tree, range;

	if (leaves.empty())
		return false;
	tree.tree(leaves, 0, leaves.size());
	range.range(leaves.front().port, leaves.back().port);
	*code = tree.size() <= CODE_MAX ? tree.finish() : range.finish();
	return true;
}

Result<std::vector<uint32_t>> tcp_sessions(const std::vector<TcpEndpoint> &endpoints, TcpDump mode)
{
	TcpSessionCounter counter(endpoints);
	Netlink netlink;

	if (endpoints.empty())
		return std::vector<uint32_t>();
	if (Status status = netlink.open(NETLINK_SOCK_DIAG); !status.ok())
		return status;
	if (mode == TcpDump::at_once) {
		Status status = dump_both(&netlink, endpoints, &counter);

		if (status.ok())
			return counter.counts();
		// Any other error than these of a kernel without the older request.
		if (status.code() != EINVAL && status.code() != ENOENT && status.code() != EOPNOTSUPP)
			return status;
	}
	// A socket belongs to one family only, so no connection counts twice.
	std::vector<uint32_t> sum(endpoints.size());
	for (uint8_t family : {AF_INET, AF_INET6}) {
		if (Status status = dump_family(&netlink, endpoints, family, &counter); !status.ok())
			return status;
		std::vector<uint32_t> part = counter.counts();
		for (size_t i = 0; i < part.size(); i++)
			sum[i] += part[i];
	}
	return sum;
}

} // namespace shunt
