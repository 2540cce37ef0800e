// SPDX-License-Identifier: Apache-2.0
//
// offload.cc - see the header.
#include "linux/offload.h"

#include <cerrno>
#include <cstdint>
#include <linux/ethtool.h>

#include "linux/ethtool.h"

namespace shunt
{

namespace
{

uint32_t blocks_of(size_t features)
{
	return (static_cast<uint32_t>(features) + 31) / 32;
}

Result<std::vector<Feature>> read(Ethtool *ethtool)
{
	Result<std::vector<std::string>> names = ethtool->names(ETH_SS_FEATURES);
	std::vector<Feature> out;

	if (!names.ok())
		return names.status();
	if (names->empty())
		return Status::system("ETHTOOL_GSSET_INFO", EOPNOTSUPP);
	uint32_t blocks = blocks_of(names->size());
	std::vector<uint64_t> data =
		Ethtool::buffer(sizeof(ethtool_gfeatures) + blocks * sizeof(ethtool_get_features_block));
	auto *features = reinterpret_cast<ethtool_gfeatures *>(data.data());
	features->cmd = ETHTOOL_GFEATURES;
	features->size = blocks;
	if (Status status = ethtool->request(&data, "ETHTOOL_GFEATURES"); !status.ok())
		return status;
	for (uint32_t i = 0; i < names->size(); i++) {
		const ethtool_get_features_block &block = features->features[i / 32];
		uint32_t bit = 1U << (i % 32);

		out.push_back({(*names)[i], (block.active & bit) != 0,
		               (block.available & bit) != 0 && (block.never_changed & bit) == 0});
	}
	return out;
}

// Requests a value for feature number `i` of `count`.
Status request_change(Ethtool *ethtool, size_t i, size_t count, bool active)
{
	uint32_t blocks = blocks_of(count), bit = 1U << (i % 32);
	std::vector<uint64_t> data =
		Ethtool::buffer(sizeof(ethtool_sfeatures) + blocks * sizeof(ethtool_set_features_block));
	auto *change = reinterpret_cast<ethtool_sfeatures *>(data.data());

	change->cmd = ETHTOOL_SFEATURES;
	change->size = blocks;
	change->features[i / 32].valid = bit;
	change->features[i / 32].requested = active ? bit : 0;
	return ethtool->request(&data, "ETHTOOL_SFEATURES");
}

} // namespace

Result<std::vector<Feature>> read_features(const std::string &interface)
{
	Ethtool ethtool;

	if (Status status = ethtool.open(interface); !status.ok())
		return status;
	return read(&ethtool);
}

Status set_feature(const std::string &interface, const std::string &feature, bool active)
{
	Status refused = Status::system("ETHTOOL_SFEATURES", EOPNOTSUPP);
	Ethtool ethtool;

	if (Status status = ethtool.open(interface); !status.ok())
		return status;
	Result<std::vector<Feature>> features = read(&ethtool);
	if (!features.ok())
		return features.status();
	size_t i = 0, count = features->size();
	while (i < count && (*features)[i].name != feature)
		i++;
	if (i == count)
		return refused;
	if ((*features)[i].active == active)
		return {};
	if (!(*features)[i].changeable)
		return refused;
	if (Status status = request_change(&ethtool, i, count, active); !status.ok())
		return status;
	// A driver may keep the old value without an error, so the features are read again.
	features = read(&ethtool);
	if (!features.ok())
		return features.status();
	return i < features->size() && (*features)[i].active == active ? Status() : refused;
}

} // namespace shunt
