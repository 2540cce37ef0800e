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

#include "linux/netdev_family.h"

namespace shunt
{

namespace
{

// Where a name has the queue's number (%), and the direction. The rest of the name is looked up in KINDS.
struct Shape {
	const char *prefix;
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
	QueueCounter counter; // of the receive direction
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

// Matches `shape` with the beginning of `name`: the queue's number, and the offset of the rest. 0: no match.
size_t match(const char *shape, const std::string &name, uint32_t *number)
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
			*number = *number * 10 + (uint32_t)(name[at] - '0');
		if (at == first)
			return 0;
	}
	return at;
}

bool kind_of(const std::string &name, bool transmit, QueueCounter *counter)
{
	for (const Kind &kind : KINDS) {
		if (name != kind.name)
			continue;
		*counter = (QueueCounter)(kind.counter + (transmit ? (int)QUEUE_TX_PACKETS : 0));
		return true;
	}
	return false;
}

void read_queue(const NetlinkMessage &message, std::map<uint32_t, QueueRow> *rows)
{
	static const uint16_t attributes[QUEUE_COUNTERS] = {NETDEV_A_QSTATS_RX_PACKETS,  NETDEV_A_QSTATS_RX_BYTES,
	                                                    NETDEV_A_QSTATS_RX_HW_DROPS, NETDEV_A_QSTATS_TX_PACKETS,
	                                                    NETDEV_A_QSTATS_TX_BYTES,    NETDEV_A_QSTATS_TX_HW_DROPS};
	QueueRow row = {};
	bool has_queue = false;

	for (AttributeCursor at = message.attributes<genlmsghdr>(); at.next();) {
		uint32_t narrow;
		uint64_t value;

		if (at.type() == NETDEV_A_QSTATS_QUEUE_ID)
			has_queue = at.read(&row.queue);
		for (int i = 0; i < QUEUE_COUNTERS; i++) {
			if (at.type() != attributes[i])
				continue;
			// Type uint: a number below 2^32 is sent in 4 bytes.
			if (!at.read(&value)) {
				if (!at.read(&narrow))
					continue;
				value = narrow;
			}
			row.counters[i] = value;
			row.known |= 1U << i;
		}
	}
	if (!has_queue)
		return;
	QueueRow &sum = (*rows)[row.queue];
	sum.queue = row.queue;
	sum.known |= row.known;
	for (int i = 0; i < QUEUE_COUNTERS; i++)
		sum.counters[i] += row.counters[i];
}

// Kernels before 6.10 and most drivers don't report them: then there are no rows.
std::vector<QueueRow> netdev_rows(const std::string &interface)
{
	std::map<uint32_t, QueueRow> rows;
	std::vector<QueueRow> out;
	NetdevFamily netdev;
	uint32_t index = if_nametoindex(interface.c_str());

	if (index == 0 || !netdev.open().ok())
		return out;
	NetlinkRequest request = netdev.request(NETDEV_CMD_QSTATS_GET, NLM_F_DUMP);
	request.attribute(NETDEV_A_QSTATS_IFINDEX, &index, sizeof(index));
	request.attribute(NETDEV_A_QSTATS_SCOPE, &NETDEV_QSTATS_SCOPE_QUEUE, sizeof(NETDEV_QSTATS_SCOPE_QUEUE));
	Status status = netdev.ask(request, "statistics of queues",
	                           [&](const NetlinkMessage &message) { read_queue(message, &rows); });
	if (status.ok())
		for (const auto &[queue, row] : rows)
			out.push_back(row);
	return out;
}

} // namespace

bool queue_counter_of(const std::string &name, uint32_t *queue, QueueCounter *counter)
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
		size_t rest = match(shape.prefix, name, queue);

		if (rest != 0 && kind_of(name.substr(rest), shape.transmit, counter))
			return true;
	}
	return false;
}

std::vector<QueueRow> queue_rows(const std::vector<RawCounter> &counters)
{
	std::map<uint32_t, QueueRow> rows;
	std::vector<QueueRow> out;

	for (const RawCounter &raw : counters) {
		QueueCounter counter = {};
		uint32_t queue = 0;

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

std::vector<QueueRow> merge_queue_rows(const std::vector<QueueRow> &rows, const std::vector<QueueRow> &others)
{
	std::map<uint32_t, QueueRow> sum;
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

Status QueueCounters::open(const std::string &interface)
{
	if (interface.empty() || interface.size() >= IFNAMSIZ || if_nametoindex(interface.c_str()) == 0)
		return Status::system("SIOCETHTOOL", ENODEV);
	interface_ = interface;
	names_.clear();
	return ethtool_.open(interface);
}

Result<std::vector<RawCounter>> QueueCounters::raw()
{
	std::vector<RawCounter> out;
	Result<std::vector<uint64_t>> values = ethtool_.statistics();

	if (values.ok() && values->size() != names_.size()) {
		Result<std::vector<std::string>> names = ethtool_.names(ETH_SS_STATS); // at first, and as queues change
		if (names.ok()) {
			names_ = names.take();
			values = ethtool_.statistics();
		} else {
			values = names.status();
		}
	}
	// A driver without statistics refuses the request with EOPNOTSUPP; every other error is one.
	if (!values.ok())
		return values.status().code() == EOPNOTSUPP ? Result(out)
		                                            : Result<std::vector<RawCounter>>(values.status());
	if (values->size() != names_.size())
		return Status::system("ETHTOOL_GSTATS", EAGAIN);
	for (size_t i = 0; i < values->size(); i++)
		out.push_back({names_[i], (*values)[i]});
	return out;
}

Result<std::vector<QueueRow>> QueueCounters::read()
{
	Result<std::vector<RawCounter>> counters = raw();

	if (!counters.ok())
		return counters.status();
	return merge_queue_rows(queue_rows(*counters), netdev_rows(interface_));
}

} // namespace shunt
