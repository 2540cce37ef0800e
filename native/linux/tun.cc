// SPDX-License-Identifier: Apache-2.0
//
// tun.cc - see the header.
#include "linux/tun.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

namespace shunt
{

Result<Tun> open_tun(const std::string &name, bool multi_queue)
{
	ifreq request = {};
	Tun out;

	if (name.empty() || name.size() >= IFNAMSIZ || name.find_first_of("/%") != std::string::npos)
		return Status::system("TUNSETIFF", EINVAL);
	out.fd = Descriptor(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	if (!out.fd.is_open())
		return Status::system("/dev/net/tun", errno);
	memcpy(request.ifr_name, name.c_str(), name.size());
	request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (multi_queue ? IFF_MULTI_QUEUE : 0));
	if (ioctl(out.fd.get(), TUNSETIFF, &request) < 0)
		return Status::system("TUNSETIFF", errno);
	out.ifindex = if_nametoindex(request.ifr_name);
	out.name = request.ifr_name;
	if (out.ifindex == 0)
		return Status::system("if_nametoindex", errno);
	return out;
}

} // namespace shunt
