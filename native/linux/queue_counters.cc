// SPDX-License-Identifier: Apache-2.0
//
// queue_counters.cc - see the header.
#include "linux/queue_counters.h"

#include <algorithm>
#include <cerrno>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <map>
#include <net/if.h>

#include "linux/netlink.h"

namespace shunt
{

namespace
{

// Where the queue's number (%) stands in a name, and in which direction it counts. What follows is looked up in KINDS.
struct Shape {
	const char *begins;
	bool transmit;
};
const Shape SHAPES[] = {
	{"rx_queue_%_", false}, {"tx_queue_%_", true}, // veth, igb, ixgbe, ice, hv_netvsc, virtio
	{"rx-%.rx_", false},    {"tx-%.tx_", true},    // sfc, older i40e
	{"rx-%.", false},       {"tx-%.", true},       // i40e, iavf
	{"rx_%_", false},       {"tx_%_", true},       // ionic
	{"rx%_", false},        {"tx%_", true},        // mlx4, mlx5, virtio
	{"[%]: rx_", false},    {"[%]: tx_", true},    // bnxt, bnx2x
	{"queue_%_rx_", false}, {"queue_%_tx_", true}, // ena
	{"q%_rx_", false},      {"q%_tx_", true},      // stmmac
	{"rvec_%_rx_", false},  {"rvec_%_tx_", true},  // nfp
	{"rxq%_", false},       {"txq%_", true},       // nicvf, hns3
};

struct Kind {
	const char *name;
	QueueCounter counter; // of the receiving direction
};
const Kind KINDS[] = {
	{"packets", QUEUE_RX_PACKETS},
	{"pkts", QUEUE_RX_PACKETS},
	{"cnt", QUEUE_RX_PACKETS},
	{"pkt_n", QUEUE_RX_PACKETS},
	{"ucast_packets", QUEUE_RX_PACKETS},
	{"mcast_packets", QUEUE_RX_PACKETS},
	{"bcast_packets", QUEUE_RX_PACKETS},
	{"bytes", QUEUE_RX_BYTES},
	{"ucast_bytes", QUEUE_RX_BYTES},
	{"mcast_bytes", QUEUE_RX_BYTES},
	{"bcast_bytes", QUEUE_RX_BYTES},
	{"drops", QUEUE_RX_DROPS},
	{"drop", QUEUE_RX_DROPS},
	{"dropped", QUEUE_RX_DROPS},
	{"discards", QUEUE_RX_DROPS},
};

// `shape` against the beginning of `name`: the number, and where the rest begins. 0: it is no such name.
size_t match(const char *shape, const std::string &name, u32 *number)
{
	size_t at = 0;

	for (; *shape; shape++) {
		if (*shape != '%') {
			if (at >= name.size() || name[at] != *shape)
				return 0;
			at++;
			continue;
		}
		size_t first = at;
		for (*number = 0; at < name.size() && name[at] >= '0' && name[at] <= '9' && at - first < 6; at++)
			*number = *number * 10 + (u32)(name[at] - '0');
		if (at == first)
			return 0;
	}
	return at;
}

bool kind_of(const std::string &what, bool transmit, QueueCounter *counter)
{
	for (const Kind &kind : KINDS) {
		if (what != kind.name)
			continue;
		*counter = (QueueCounter)(kind.counter + (transmit ? (int)QUEUE_TX_PACKETS : 0));
		return true;
	}
	return false;
}

// <linux/netdev.h> is newer than some headers we build with.
enum { NETDEV_QSTATS_GET = 12 };
enum {
	QSTATS_IFINDEX = 1,
	QSTATS_QUEUE_TYPE = 2,
	QSTATS_QUEUE_ID = 3,
	QSTATS_SCOPE = 4,
	QSTATS_RX_PACKETS = 8,
	QSTATS_RX_BYTES = 9,
	QSTATS_TX_PACKETS = 10,
	QSTATS_TX_BYTES = 11,
	QSTATS_RX_HW_DROPS = 13,
	QSTATS_TX_HW_DROPS = 24,
};
constexpr u32 SCOPE_QUEUE = 1;

void read_queue(const NetlinkMessage &message, std::map<u32, QueueRow> *rows)
{
	static const u16 places[QUEUE_COUNTERS] = {QSTATS_RX_PACKETS, QSTATS_RX_BYTES, QSTATS_RX_HW_DROPS,
	                                           QSTATS_TX_PACKETS, QSTATS_TX_BYTES, QSTATS_TX_HW_DROPS};
	QueueRow row = {};
	bool named = false;

	for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();) {
		u32 narrow;
		u64 value;

		if (at.type() == QSTATS_QUEUE_ID)
			named = at.read(&row.queue);
		for (int i = 0; i < QUEUE_COUNTERS; i++) {
			if (at.type() != places[i])
				continue;
			// A number that fits 32 bits comes as such.
			if (!at.read(&value)) {
				if (!at.read(&narrow))
					continue;
				value = narrow;
			}
			row.counters[i] = value;
			row.known |= 1U << i;
		}
	}
	if (!named)
		return;
	QueueRow &sum = (*rows)[row.queue];
	sum.queue = row.queue;
	sum.known |= row.known;
	for (int i = 0; i < QUEUE_COUNTERS; i++)
		sum.counters[i] += row.counters[i];
}

// Kernels before 6.10 and most drivers don't know them: then there are no rows.
std::vector<QueueRow> netdev_rows(const std::string &interface)
{
	std::map<u32, QueueRow> rows;
	std::vector<QueueRow> out;
	Netlink netlink;
	u16 family = 0;
	u32 index = if_nametoindex(interface.c_str());
	genlmsghdr lookup = {CTRL_CMD_GETFAMILY, 1, 0}, ask = {NETDEV_QSTATS_GET, 1, 0};

	if (index == 0 || netlink.open(NETLINK_GENERIC))
		return out;
	NetlinkRequest name(GENL_ID_CTRL, 0);
	name.body(&lookup, sizeof(lookup));
	name.attribute(CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	Failure failure = netlink.ask(name, "the netlink family netdev", [&](const NetlinkMessage &message) {
		for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();)
			if (at.type() == CTRL_ATTR_FAMILY_ID)
				at.read(&family);
	});
	if (failure || family == 0)
		return out;
	NetlinkRequest request(family, NLM_F_DUMP);
	request.body(&ask, sizeof(ask));
	request.attribute(QSTATS_IFINDEX, &index, sizeof(index));
	request.attribute(QSTATS_SCOPE, &SCOPE_QUEUE, sizeof(SCOPE_QUEUE));
	failure = netlink.ask(request, "statistics of queues",
	                      [&](const NetlinkMessage &message) { read_queue(message, &rows); });
	if (!failure)
		for (const auto &[queue, row] : rows)
			out.push_back(row);
	return out;
}

} // namespace

bool queue_counter_of(const std::string &name, u32 *queue, QueueCounter *counter)
{
	// "rx_packets[0]" (gve)
	size_t bracket = name.rfind('[');
	if (bracket != std::string::npos && bracket > 3 && name.back() == ']') {
		size_t end = match("[%]", name.substr(bracket), queue);
		bool transmit = name.compare(0, 3, "tx_") == 0;

		return end == name.size() - bracket && (transmit || name.compare(0, 3, "rx_") == 0) &&
		       kind_of(name.substr(3, bracket - 3), transmit, counter);
	}
	for (const Shape &shape : SHAPES) {
		size_t rest = match(shape.begins, name, queue);

		if (rest != 0 && kind_of(name.substr(rest), shape.transmit, counter))
			return true;
	}
	return false;
}

std::vector<QueueRow> queue_rows(const std::vector<RawCounter> &counters)
{
	std::map<u32, QueueRow> rows;
	std::vector<QueueRow> out;

	for (const RawCounter &raw : counters) {
		QueueCounter counter = {};
		u32 queue = 0;

		if (!queue_counter_of(raw.name, &queue, &counter))
			continue;
		QueueRow &row = rows[queue];
		row.queue = queue;
		row.known |= 1U << counter;
		row.counters[counter] += raw.value;
	}
	for (const auto &[queue, row] : rows)
		out.push_back(row);
	return out;
}

std::vector<QueueRow> filled(const std::vector<QueueRow> &rows, const std::vector<QueueRow> &others)
{
	std::map<u32, QueueRow> sum;
	std::vector<QueueRow> out;

	for (const QueueRow &row : rows)
		sum[row.queue] = row;
	for (const QueueRow &other : others) {
		QueueRow &row = sum[other.queue];

		row.queue = other.queue;
		for (int i = 0; i < QUEUE_COUNTERS; i++) {
			if (row.known & 1U << i || !(other.known & 1U << i))
				continue;
			row.known |= 1U << i;
			row.counters[i] = other.counters[i];
		}
	}
	for (const auto &[queue, row] : sum)
		out.push_back(row);
	return out;
}

Failure QueueCounters::open(const std::string &interface)
{
	if (interface.empty() || interface.size() >= IFNAMSIZ || if_nametoindex(interface.c_str()) == 0)
		return {"SIOCETHTOOL", ENODEV};
	interface_ = interface;
	names_.clear();
	return ethtool_.open(interface);
}

Failure QueueCounters::raw(std::vector<RawCounter> *out)
{
	std::vector<uint64_t> values;

	out->clear();
	// A driver without statistics refuses the question; an interface that is gone is another matter.
	Failure failure = ethtool_.statistics(&values);
	if (!failure && values.size() != names_.size()) {
		failure = ethtool_.names(ETH_SS_STATS, &names_); // the first time, or queues have come or gone
		if (!failure)
			failure = ethtool_.statistics(&values);
	}
	if (failure)
		return failure.code == EOPNOTSUPP ? Failure{} : failure;
	if (values.size() != names_.size())
		return {"ETHTOOL_GSTATS", EAGAIN};
	for (size_t i = 0; i < values.size(); i++)
		out->push_back({names_[i], values[i]});
	return {};
}

Failure QueueCounters::read(std::vector<QueueRow> *rows)
{
	std::vector<RawCounter> counters;

	if (Failure failure = raw(&counters))
		return failure;
	*rows = filled(queue_rows(counters), netdev_rows(interface_));
	return {};
}

} // namespace shunt
