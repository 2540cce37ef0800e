// SPDX-License-Identifier: Apache-2.0
//
// offload.cc - features of a network interface by their kernel names.
#include "linux/offload.h"

#include <cerrno>
#include <cstdint>
#include <linux/ethtool.h>

#include "linux/ethtool.h"

namespace shunt
{

namespace
{

Failure read_features(Ethtool *ethtool, std::vector<Feature> *out)
{
	std::vector<std::string> names;

	if (Failure failure = ethtool->names(ETH_SS_FEATURES, &names))
		return failure;
	if (names.empty())
		return {"ETHTOOL_GSSET_INFO", EOPNOTSUPP};
	uint32_t blocks = (static_cast<uint32_t>(names.size()) + 31) / 32;
	std::vector<uint64_t> data =
		Ethtool::room(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block));
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
			Ethtool::room(sizeof(ethtool_sfeatures) + blocks * sizeof(ethtool_set_features_block));
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
		return i < features.size() && features[i].active == active ? Failure{}
		                                                           : Failure{"ETHTOOL_SFEATURES", EOPNOTSUPP};
	}
	return {"ETHTOOL_SFEATURES", EOPNOTSUPP};
}

} // namespace shunt
