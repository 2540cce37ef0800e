// SPDX-License-Identifier: Apache-2.0
//
// ethtool.cc - see the header.
#include "linux/ethtool.h"

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
constexpr uint32_t SPARE = 1024;        // names that may be added between the count and the answer

} // namespace

Failure Ethtool::open(const std::string &interface)
{
	if (interface.empty() || interface.size() >= IFNAMSIZ)
		return {"SIOCETHTOOL", ENODEV};
	interface_ = interface;
	socket_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	return socket_.is_open() ? Failure{} : Failure{"socket", errno};
}

Failure Ethtool::ask(std::vector<uint64_t> *data, const char *step)
{
	ifreq request = {};

	memcpy(request.ifr_name, interface_.c_str(), interface_.size());
	request.ifr_data = reinterpret_cast<char *>(data->data());
	return ioctl(socket_.get(), SIOCETHTOOL, &request) < 0 ? Failure{step, errno} : Failure{};
}

Failure Ethtool::count(uint32_t set, uint32_t *out)
{
	std::vector<uint64_t> data = room(sizeof(ethtool_sset_info) + sizeof(uint32_t));
	auto *info = reinterpret_cast<ethtool_sset_info *>(data.data());

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << set;
	if (Failure failure = ask(&data, "ETHTOOL_GSSET_INFO"))
		return failure;
	*out = info->sset_mask ? info->data[0] : 0;
	return *out > NAMES_MAX ? Failure{"ETHTOOL_GSSET_INFO", EOVERFLOW} : Failure{};
}

Failure Ethtool::names(uint32_t set, std::vector<std::string> *out)
{
	uint32_t expected = 0;

	out->clear();
	if (Failure failure = count(set, &expected))
		return failure;
	if (expected == 0)
		return {};
	uint32_t most = 2 * expected + SPARE;
	std::vector<uint64_t> data = room(sizeof(ethtool_gstrings) + static_cast<size_t>(most) * ETH_GSTRING_LEN);
	auto *strings = reinterpret_cast<ethtool_gstrings *>(data.data());
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = set;
	strings->len = expected;
	if (Failure failure = ask(&data, "ETHTOOL_GSTRINGS"))
		return failure;
	for (uint32_t i = 0; i < strings->len && i < most; i++) {
		const char *name =
			reinterpret_cast<const char *>(strings->data) + static_cast<size_t>(i) * ETH_GSTRING_LEN;

		out->emplace_back(name, strnlen(name, ETH_GSTRING_LEN));
	}
	return {};
}

Failure Ethtool::statistics(std::vector<uint64_t> *out)
{
	uint32_t expected = 0;

	out->clear();
	if (Failure failure = count(ETH_SS_STATS, &expected))
		return failure;
	if (expected == 0)
		return {};
	uint32_t most = 2 * expected + SPARE;
	std::vector<uint64_t> data = room(sizeof(ethtool_stats) + static_cast<size_t>(most) * sizeof(uint64_t));
	auto *stats = reinterpret_cast<ethtool_stats *>(data.data());
	stats->cmd = ETHTOOL_GSTATS;
	stats->n_stats = expected;
	if (Failure failure = ask(&data, "ETHTOOL_GSTATS"))
		return failure;
	uint32_t told = stats->n_stats < most ? stats->n_stats : most;
	// The values stand behind a head of eight bytes: word by word from the second word on.
	static_assert(sizeof(ethtool_stats) == sizeof(uint64_t));
	out->assign(data.begin() + 1, data.begin() + 1 + told);
	return {};
}

} // namespace shunt
