// SPDX-License-Identifier: Apache-2.0
//
// sent_filter.h - the program that sees what a backend sends, at the way out of one interface (tc, clsact).
//
// A filter stays where it is when its daemon is killed; the next one finds it by its place and its program's name, and puts
// its own program there. Its handle says whether the qdisc under it was ours to make, and so is ours to take away.
//
// Owns: one filter at PRIORITY, and the qdisc if nobody else had made one.
// Must never: take away or replace anybody else's filter, or a qdisc that somebody else made or uses.
#ifndef SHUNT_KERNEL_SENT_FILTER_H
#define SHUNT_KERNEL_SENT_FILTER_H

#include <memory>
#include <string>
#include <vector>

#include "datapath/types.h"

namespace shunt
{

class SentFilter
{
public:
	// Makes it, or takes over what an earlier daemon left. NULL and one sentence.
	static std::unique_ptr<SentFilter> attach(const std::string &interface, int program_fd, std::string *problem);
	// Takes away what a daemon left here, if anything; false when there was nothing.
	static bool remove(const std::string &interface);
	// Takes away what an earlier daemon with this map of counters left on interfaces other than these.
	static void remove_others(const std::vector<std::string> &interfaces, int counters_fd);
	// The filter outlives this object: detach() ends it.
	SentFilter(const SentFilter &) = delete;

	// Another program in place of this one, between two packets.
	bool replace(int program_fd, std::string *problem);
	void detach() { remove(interface_); }

private:
	SentFilter() = default;

	std::string interface_;
	u32 ifindex_ = 0;
	u32 handle_ = 0;
};

} // namespace shunt

#endif
