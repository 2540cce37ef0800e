// SPDX-License-Identifier: Apache-2.0
//
// sent_filter.h - the program that observes a backend's egress packets, at one interface (tc, clsact egress).
//
// The filter stays attached when its daemon is killed; the next one finds it (tc_filter.h) and replaces its program.
//
// Owns: one filter at SLOT.
// Must never: replace or remove another program's filter, or a qdisc that another program created or uses.
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
	// Attaches the program, or replaces that of an earlier daemon's filter.
	static Result<std::unique_ptr<SentFilter>> attach(const std::string &interface, int program_fd);
	// Detaches the filter of any daemon at this interface; false: there was none.
	static bool remove(const std::string &interface);
	// Detaches the filters of an earlier daemon with this map of counters from all interfaces but these.
	static void remove_others(const std::vector<std::string> &interfaces, int counters_fd);
	// The filter outlives this object; detach() removes it.
	SentFilter(const SentFilter &) = delete;

	// Replaces the program, between two packets.
	Status replace(int program_fd);
	void detach() { remove(interface_); }

private:
	SentFilter() = default;

	std::string interface_;
	u32 ifindex_ = 0;
};

} // namespace shunt

#endif
