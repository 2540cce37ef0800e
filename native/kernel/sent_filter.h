// SPDX-License-Identifier: Apache-2.0
//
// sent_filter.h - the program that observes a backend's egress packets, as a filter at one interface (tc, clsact egress).
//
// A filter stays when its daemon is killed; the next daemon finds it by its priority, handle and program name, and replaces
// the program. The handle says whether this daemon or an earlier one made the qdisc, and so has to delete it.
//
// Owns: one filter at PRIORITY, and the qdisc if there was none.
// Must never: delete or replace a filter of other software, or a qdisc that other software made or uses.
#ifndef SHUNT_KERNEL_SENT_FILTER_H
#define SHUNT_KERNEL_SENT_FILTER_H

#include <memory>
#include <string>
#include <vector>

#include "datapath/types.h"
#include "linux/status.h"

namespace shunt
{

class SentFilter
{
public:
	// Makes it, or takes over the filter of an earlier daemon.
	static Result<std::unique_ptr<SentFilter>> attach(const std::string &interface, int program_fd);
	// Deletes the filter of an earlier daemon; false if there is none.
	static bool remove(const std::string &interface);
	// Deletes the filters that an earlier daemon with this map of counters left on interfaces other than these.
	static void remove_others(const std::vector<std::string> &interfaces, int counters_fd);
	// The filter outlives this object: detach() ends it.
	SentFilter(const SentFilter &) = delete;

	// Exchanges the program, between two packets.
	Status replace(int program_fd);
	void detach() { remove(interface_); }

private:
	SentFilter() = default;

	std::string interface_;
	u32 ifindex_ = 0;
	u32 handle_ = 0;
};

} // namespace shunt

#endif
