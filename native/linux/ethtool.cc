// SPDX-License-Identifier: Apache-2.0
//
// ethtool.cc - see the header.
#include "linux/ethtool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace shunt
{

namespace
{

constexpr uint32_t NAMES_MAX = 1 << 16; // a card with 128 queues has some 5,000 statistics
constexpr uint32_t SPARE = 1024;        // entries that may be added between the count and the list

} // namespace

Status Ethtool::open(const std::string &interface)
{
	if (interface.empty() || interface.size() >= IFNAMSIZ)
		return Status::system("SIOCETHTOOL", ENODEV);
	interface_ = interface;
	socket_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return socket_.is_open() ? Status() : Status::system("socket", errno);
}

Status Ethtool::request(std::vector<uint64_t> *data, const char *step)
{
	ifreq request = {};

	memcpy(request.ifr_name, interface_.c_str(), interface_.size());
	request.ifr_data = reinterpret_cast<char *>(data->data());
	return ioctl(socket_.get(), SIOCETHTOOL, &request) < 0 ? Status::system(step, errno) : Status();
}

Result<uint32_t> Ethtool::count(uint32_t set)
{
	std::vector<uint64_t> data = buffer(sizeof(ethtool_sset_info) + sizeof(uint32_t));
	auto *info = reinterpret_cast<ethtool_sset_info *>(data.data());

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << set;
	if (Status status = request(&data, "ETHTOOL_GSSET_INFO"); !status.ok())
		return status;
	uint32_t count = info->sset_mask ? info->data[0] : 0;
	if (count > NAMES_MAX)
		return Status::system("ETHTOOL_GSSET_INFO", EOVERFLOW);
	return count;
}

Result<std::vector<std::string>> Ethtool::names(uint32_t set)
{
	std::vector<std::string> out;
	Result<uint32_t> expected = count(set);

	if (!expected.ok())
		return expected.status();
	if (*expected == 0)
		return out;
	uint32_t room = 2 * *expected + SPARE;
	std::vector<uint64_t> data = buffer(sizeof(ethtool_gstrings) + static_cast<size_t>(room) * ETH_GSTRING_LEN);
	auto *strings = reinterpret_cast<ethtool_gstrings *>(data.data());
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = set;
	strings->len = *expected;
	if (Status status = request(&data, "ETHTOOL_GSTRINGS"); !status.ok())
		return status;
	for (uint32_t i = 0; i < std::min(strings->len, room); i++) {
		const char *name =
			reinterpret_cast<const char *>(strings->data) + static_cast<size_t>(i) * ETH_GSTRING_LEN;

		out.emplace_back(name, strnlen(name, ETH_GSTRING_LEN));
	}
	return out;
}

Result<std::vector<uint64_t>> Ethtool::statistics()
{
	Result<uint32_t> expected = count(ETH_SS_STATS);

	if (!expected.ok())
		return expected.status();
	if (*expected == 0)
		return std::vector<uint64_t>();
	uint32_t room = 2 * *expected + SPARE;
	std::vector<uint64_t> data = buffer(sizeof(ethtool_stats) + static_cast<size_t>(room) * sizeof(uint64_t));
	auto *stats = reinterpret_cast<ethtool_stats *>(data.data());
	stats->cmd = ETHTOOL_GSTATS;
	stats->n_stats = *expected;
	if (Status status = request(&data, "ETHTOOL_GSTATS"); !status.ok())
		return status;
	uint32_t written = std::min(stats->n_stats, room);
	// The values follow a head of eight bytes, so they begin at the second word.
	static_assert(sizeof(ethtool_stats) == sizeof(uint64_t));
	return std::vector<uint64_t>(data.begin() + 1, data.begin() + 1 + written);
}

} // namespace shunt
