// SPDX-License-Identifier: Apache-2.0
//
// tun.cc - a network interface of our own, by which packets enter this host's stack.
#include "linux/tun.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

namespace shunt
{

Failure open_tun(const std::string &name, bool several_queues, Tun *out)
{
	ifreq request = {};

	if (name.empty() || name.size() >= IFNAMSIZ || name.find_first_of("/%") != std::string::npos)
		return {"TUNSETIFF", EINVAL};
	Descriptor fd(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	if (!fd.is_open())
		return {"/dev/net/tun", errno};
	memcpy(request.ifr_name, name.c_str(), name.size());
	request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (several_queues ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd.get(), TUNSETIFF, &request) < 0)
		return {"TUNSETIFF", errno};
	out->ifindex = if_nametoindex(request.ifr_name);
	out->name = request.ifr_name;
	if (out->ifindex == 0)
		return {"if_nametoindex", errno};
	out->fd = std::move(fd);
	return {};
}

} // namespace shunt
