// SPDX-License-Identifier: Apache-2.0
//
// queue_counters.h - packets, bytes and drops of each queue of a network card.
//
// Drivers report them in one of two ways: as ethtool statistics, under names that each driver invents
// ("rx_queue_0_packets", "rx0_packets", "[0]: rx_ucast_packets", "queue_0_rx_cnt", …), or, the newer ones, by the netlink
// family netdev; some report a part in each. Counters with a known name are summed by queue; raw() lists all.
//
// Owns: the meaning of the names.
// Must never: make up a counter: one that a driver does not report is unknown, not 0. Those of XDP (veth's "xdp_packets")
// are 0 where no program is attached, so they are not taken for all packets.
#ifndef SHUNT_LINUX_QUEUE_COUNTERS_H
#define SHUNT_LINUX_QUEUE_COUNTERS_H

#include <cstdint>
#include <string>
#include <vector>

#include "linux/ethtool.h"
#include "linux/status.h"

namespace shunt
{

// The order of QUEUE_NAMES in native/addon/host_link.cc.
enum QueueCounter {
	QUEUE_RX_PACKETS,
	QUEUE_RX_BYTES,
	QUEUE_RX_DROPS,
	QUEUE_TX_PACKETS,
	QUEUE_TX_BYTES,
	QUEUE_TX_DROPS,
	QUEUE_COUNTERS
};

struct QueueRow {
	uint32_t queue;
	uint32_t known = 0; // bit 1 << QueueCounter for each one that the driver reports
	uint64_t counters[QUEUE_COUNTERS] = {};
};

struct RawCounter {
	std::string name;
	uint64_t value;
};

// Parses a name of an ethtool statistic; false: it is not a known counter of a queue.
bool queue_counter_of(const std::string &name, uint32_t *queue, QueueCounter *counter);
// Sums the counters with known names; one row a queue, in ascending order.
std::vector<QueueRow> queue_rows(const std::vector<RawCounter> &counters);
// `rows`, with counters that they lack taken from `others`; one row a queue, in ascending order.
std::vector<QueueRow> merge_queue_rows(const std::vector<QueueRow> &rows, const std::vector<QueueRow> &others);

class QueueCounters
{
public:
	// ENODEV: there is no such interface.
	Status open(const std::string &interface);
	// Empty if the driver reports nothing by queue. ENODEV: the interface is gone.
	Result<std::vector<QueueRow>> read();
	// All ethtool statistics (`ethtool -S`), in the driver's order. EAGAIN: their number changed between two requests.
	Result<std::vector<RawCounter>> raw();

private:
	std::string interface_;
	Ethtool ethtool_;
	std::vector<std::string> names_;
};

} // namespace shunt

#endif
