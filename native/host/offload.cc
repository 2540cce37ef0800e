// SPDX-License-Identifier: Apache-2.0
//
// offload.cc - features of a network interface by their kernel names.
#include "host/offload.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "host/descriptor.h"

namespace shunt
{

namespace
{

constexpr uint32_t FEATURES_MAX = 1024; // the kernel has some sixty

// One SIOCETHTOOL socket for one interface.
class Ethtool
{
public:
	Failure open(const std::string &interface)
	{
		if (interface.empty() || interface.size() >= IFNAMSIZ)
			return {"SIOCETHTOOL", ENODEV};
		memcpy(request_.ifr_name, interface.c_str(), interface.size());
		socket_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		return socket_.is_open() ? Failure{} : Failure{"socket", errno};
	}
	// `data` begins with the command; 64-bit words so that every ethtool structure is aligned.
	Failure ask(std::vector<uint64_t> *data, const char *step)
	{
		request_.ifr_data = reinterpret_cast<char *>(data->data());
		return ioctl(socket_.get(), SIOCETHTOOL, &request_) < 0 ? Failure{step, errno} : Failure{};
	}

private:
	Descriptor socket_;
	ifreq request_ = {};
};

std::vector<uint64_t> room(size_t bytes)
{
	return std::vector<uint64_t>((bytes + 7) / 8, 0);
}

Failure feature_names(Ethtool *ethtool, std::vector<std::string> *names)
{
	std::vector<uint64_t> data = room(sizeof(ethtool_sset_info) + sizeof(uint32_t));
	auto *info = reinterpret_cast<ethtool_sset_info *>(data.data());

	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << ETH_SS_FEATURES;
	if (Failure failure = ethtool->ask(&data, "ETHTOOL_GSSET_INFO"))
		return failure;
	uint32_t count = info->sset_mask ? info->data[0] : 0;
	if (count == 0 || count > FEATURES_MAX)
		return {"ETHTOOL_GSSET_INFO", EOPNOTSUPP};
	std::vector<uint64_t> text = room(sizeof(ethtool_gstrings) + static_cast<size_t>(count) * ETH_GSTRING_LEN);
	auto *strings = reinterpret_cast<ethtool_gstrings *>(text.data());
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = count;
	if (Failure failure = ethtool->ask(&text, "ETHTOOL_GSTRINGS"))
		return failure;
	for (uint32_t i = 0; i < count && i < strings->len; i++) {
		const char *name = reinterpret_cast<const char *>(strings->data) + static_cast<size_t>(i) * ETH_GSTRING_LEN;

		names->emplace_back(name, strnlen(name, ETH_GSTRING_LEN));
	}
	return {};
}

Failure read_features(Ethtool *ethtool, std::vector<Feature> *out)
{
	std::vector<std::string> names;

	if (Failure failure = feature_names(ethtool, &names))
		return failure;
	uint32_t blocks = (static_cast<uint32_t>(names.size()) + 31) / 32;
	std::vector<uint64_t> data = room(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block));
	auto *features = reinterpret_cast<ethtool_gfeatures *>(data.data());
	features->cmd = ETHTOOL_GFEATURES;
	features->size = blocks;
	if (Failure failure = ethtool->ask(&data, "ETHTOOL_GFEATURES"))
		return failure;
	for (uint32_t i = 0; i < names.size(); i++) {
		const ethtool_get_features_block &block = features->features[i / 32];
		uint32_t bit = 1U << (i % 32);

		out->push_back({names[i], (block.active & bit) != 0,
				(block.available & bit) != 0 && (block.never_changed & bit) == 0});
	}
	return {};
}

} // namespace

Failure Offload::read(const std::string &interface, std::vector<Feature> *out) const
{
	Ethtool ethtool;

	out->clear();
	if (Failure failure = ethtool.open(interface))
		return failure;
	return read_features(&ethtool, out);
}

Failure Offload::set(const std::string &interface, const std::string &feature, bool active) const
{
	std::vector<Feature> features;
	Ethtool ethtool;

	if (Failure failure = ethtool.open(interface))
		return failure;
	if (Failure failure = read_features(&ethtool, &features))
		return failure;
	for (uint32_t i = 0; i < features.size(); i++) {
		if (features[i].name != feature)
			continue;
		if (features[i].active == active)
			return {};
		if (!features[i].changeable)
			return {"ETHTOOL_SFEATURES", EOPNOTSUPP};
		uint32_t blocks = (static_cast<uint32_t>(features.size()) + 31) / 32;
		std::vector<uint64_t> data =
			room(sizeof(ethtool_sfeatures) + blocks * sizeof(ethtool_set_features_block));
		auto *wanted = reinterpret_cast<ethtool_sfeatures *>(data.data());

		wanted->cmd = ETHTOOL_SFEATURES;
		wanted->size = blocks;
		wanted->features[i / 32].valid = 1U << (i % 32);
		wanted->features[i / 32].requested = active ? 1U << (i % 32) : 0;
		if (Failure failure = ethtool.ask(&data, "ETHTOOL_SFEATURES"))
			return failure;
		// The driver may keep a feature for reasons of its own without an error: look again.
		features.clear();
		if (Failure failure = read_features(&ethtool, &features))
			return failure;
		return i < features.size() && features[i].active == active
			       ? Failure{}
			       : Failure{"ETHTOOL_SFEATURES", EOPNOTSUPP};
	}
	return {"ETHTOOL_SFEATURES", EOPNOTSUPP};
}

} // namespace shunt
