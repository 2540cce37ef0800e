// SPDX-License-Identifier: Apache-2.0
//
// channels.cc - see the header.
#include "linux/channels.h"

#include <cstring>
#include <linux/ethtool.h>

#include "linux/ethtool.h"

namespace shunt
{

Result<Channels> read_channels(const std::string &interface)
{
	ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	Ethtool ethtool;

	if (Status status = ethtool.open(interface); !status.ok())
		return status;
	auto data = Ethtool::buffer(sizeof(channels));
	memcpy(data.data(), &channels, sizeof(channels));
	if (Status status = ethtool.request(&data, "queues of an interface"); !status.ok())
		return status;
	memcpy(&channels, data.data(), sizeof(channels));
	data = Ethtool::buffer(sizeof(driver));
	memcpy(data.data(), &driver, sizeof(driver));
	if (Status status = ethtool.request(&data, "driver of an interface"); !status.ok())
		return status;
	memcpy(&driver, data.data(), sizeof(driver));
	driver.driver[sizeof(driver.driver) - 1] = 0;
	return Channels{driver.driver, channels.combined_count, channels.max_combined};
}

} // namespace shunt
