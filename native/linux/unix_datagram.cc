// SPDX-License-Identifier: Apache-2.0
//
// unix_datagram.cc - see the header.
#include "linux/unix_datagram.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "linux/descriptor.h"

namespace shunt
{

Status send_unix_datagram(const std::string &socket_name, const std::string &text)
{
	sockaddr_un address = {};
	timeval limit = {.tv_sec = 1, .tv_usec = 0};

	if (socket_name.size() < 2 || socket_name.size() >= sizeof(address.sun_path) ||
	    (socket_name[0] != '/' && socket_name[0] != '@'))
		return Status::system("NOTIFY_SOCKET", EINVAL);
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, socket_name.data(), socket_name.size());
	if (socket_name[0] == '@')
		address.sun_path[0] = '\0';
	Descriptor fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (!fd.is_open())
		return Status::system("socket", errno);
	if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return Status::system("SO_SNDTIMEO", errno);
	socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name.size());
	if (sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr *>(&address), length) <
	    0)
		return Status::system("sendto", errno);
	return {};
}

} // namespace shunt
