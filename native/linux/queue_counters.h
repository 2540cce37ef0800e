// SPDX-License-Identifier: Apache-2.0
//
// queue_counters.h - packets, bytes and drops of each queue of a network card.
//
// Drivers tell them in one of two ways: by ethtool's statistics, under names that each driver invents ("rx_queue_0_packets",
// "rx0_packets", "[0]: rx_ucast_packets", "queue_0_rx_cnt", …), or, the newer ones, by the netlink family netdev; some tell a
// part in each. Names that are understood are added up by queue; the whole list is there as it is.
//
// Owns: the meaning of the names.
// Must never: make up a counter: what a driver does not tell is unknown, not 0. Those of XDP (veth's "xdp_packets") are 0
// where no program is attached, and so don't stand for all packets.
#ifndef SHUNT_LINUX_QUEUE_COUNTERS_H
#define SHUNT_LINUX_QUEUE_COUNTERS_H

#include <string>
#include <vector>

#include "datapath/types.h"
#include "linux/ethtool.h"
#include "linux/failure.h"

namespace shunt
{

// In this order also in JavaScript.
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
	u32 queue;
	u32 known = 0; // bit of each QueueCounter that the driver tells
	u64 counters[QUEUE_COUNTERS] = {};
};

struct RawCounter {
	std::string name;
	u64 value;
};

// What one of ethtool's names counts; false: nothing of a queue that we know.
bool queue_counter_of(const std::string &name, u32 *queue, QueueCounter *counter);
// Adds up what stands under names that are understood; by queue.
std::vector<QueueRow> queue_rows(const std::vector<RawCounter> &counters);
// Fills what `rows` does not know from what `others` does; by queue.
std::vector<QueueRow> filled(const std::vector<QueueRow> &rows, const std::vector<QueueRow> &others);

class QueueCounters
{
public:
	// ENODEV: no such interface. One whose driver tells nothing has no rows.
	Failure open(const std::string &interface);
	Failure read(std::vector<QueueRow> *rows);
	// All of ethtool's statistics, understood or not.
	Failure raw(std::vector<RawCounter> *out);

private:
	std::string interface_;
	Ethtool ethtool_;
	std::vector<std::string> names_;
};

} // namespace shunt

#endif
