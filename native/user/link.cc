// SPDX-License-Identifier: Apache-2.0
//
// link.cc - reads an interface by ioctl.
#include "user/link.h"

#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shunt
{

std::string system_problem(const std::string &what, int error)
{
	return what + ": " + strerror(error);
}

bool read_link(const std::string &name, Link *link, std::string *problem)
{
	struct ifreq request = {};
	int fd;

	if (name.empty() || name.size() >= IFNAMSIZ || !(link->ifindex = if_nametoindex(name.c_str()))) {
		*problem = "there is no interface named " + name;
		return false;
	}
	link->name = name;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*problem = system_problem("socket", errno);
		return false;
	}
	memcpy(request.ifr_name, name.c_str(), name.size() + 1);
	bool ok = ioctl(fd, SIOCGIFHWADDR, &request) == 0;
	if (ok && request.ifr_hwaddr.sa_family != ARPHRD_ETHER && request.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK) {
		*problem = "interface " + name + " does not speak Ethernet";
		close(fd);
		return false;
	}
	memcpy(link->mac, request.ifr_hwaddr.sa_data, 6);
	ok = ok && ioctl(fd, SIOCGIFMTU, &request) == 0;
	link->mtu = static_cast<u32>(request.ifr_mtu);
	if (!ok)
		*problem = system_problem("interface " + name, errno);
	close(fd);
	return ok;
}

bool read_link(u32 ifindex, Link *link, std::string *problem)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(ifindex, name)) {
		*problem = "there is no interface with index " + std::to_string(ifindex);
		return false;
	}
	return read_link(std::string(name), link, problem);
}

} // namespace shunt
