// SPDX-License-Identifier: Apache-2.0
//
// icmp_errors.cc - see the header.
#include "linux/icmp_errors.h"

#include <cerrno>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace shunt
{

namespace
{

constexpr int MOST_READ = 256; // of one family, by one call
constexpr int BUFFER_BYTES = 1 << 16;
constexpr size_t IPV4_HEADER = 20, IPV6_HEADER = 40, ICMP_HEADER = 8, UDP_PORTS = 4;

uint16_t port_at(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

bool parse_quote4(const uint8_t *quote, size_t length, IcmpError *error)
{
	size_t header = (quote[0] & 15u) * 4;
	bool later_fragment = (quote[6] & 0x1f) || quote[7];

	if (quote[0] >> 4 != 4 || header < IPV4_HEADER || length < header + UDP_PORTS || later_fragment ||
	    quote[9] != IPPROTO_UDP)
		return false;
	error->source = *IpAddress::from_bytes(quote + 12, 4);
	error->destination = *IpAddress::from_bytes(quote + 16, 4);
	error->destination_port = port_at(quote + header + 2);
	return true;
}

// Our own packets have no extension headers.
bool parse_quote6(const uint8_t *quote, size_t length, IcmpError *error)
{
	if (quote[0] >> 4 != 6 || length < IPV6_HEADER + UDP_PORTS || quote[6] != IPPROTO_UDP)
		return false;
	error->source = *IpAddress::from_bytes(quote + 8, 16);
	error->destination = *IpAddress::from_bytes(quote + 24, 16);
	error->destination_port = port_at(quote + IPV6_HEADER + 2);
	return true;
}

Result<Descriptor> open_socket(int family)
{
	Descriptor fd(socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
	                     family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6));
	int failed;

	if (!fd.is_open())
		return Status::system("a raw ICMP socket cannot be opened", errno);
	setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &BUFFER_BYTES, sizeof(BUFFER_BYTES));
	if (family == AF_INET) {
		icmp_filter filter = {~(1u << ICMP_DEST_UNREACH)}; // bits that are set are not received

		failed = setsockopt(fd.get(), SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
	} else {
		icmp6_filter filter;

		ICMP6_FILTER_SETBLOCKALL(&filter);
		ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &filter);
		failed = setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	}
	if (failed)
		return Status::system("the filter of a raw ICMP socket cannot be set", errno);
	return fd;
}

void read_socket(int fd, uint8_t family, std::vector<IcmpError> *found)
{
	uint8_t packet[512];

	for (int i = 0; i < MOST_READ; i++) {
		sockaddr_storage from = {};
		socklen_t from_bytes = sizeof(from);
		ssize_t length =
			recvfrom(fd, packet, sizeof(packet), 0, reinterpret_cast<sockaddr *>(&from), &from_bytes);
		IcmpError error = {};

		if (length < 0)
			return;
		if (!parse_icmp_error(family, packet, (size_t)length, &error))
			continue;
		error.reporter =
			family == AF_INET
				? *IpAddress::from_bytes(&reinterpret_cast<sockaddr_in *>(&from)->sin_addr, 4)
				: *IpAddress::from_bytes(&reinterpret_cast<sockaddr_in6 *>(&from)->sin6_addr, 16);
		bool repeated = false;
		for (const IcmpError &one : *found)
			repeated = repeated || one.is_repeated_by(error);
		if (!repeated)
			found->push_back(error);
	}
}

} // namespace

bool parse_icmp_error(uint8_t family, const uint8_t *data, size_t length, IcmpError *error)
{
	if (family == AF_INET) {
		size_t header = length < IPV4_HEADER ? 0 : (data[0] & 15u) * 4;
		const uint8_t *icmp = data + header;

		if (header < IPV4_HEADER || length < header + ICMP_HEADER + IPV4_HEADER || icmp[0] != ICMP_DEST_UNREACH)
			return false;
		error->code = icmp[1];
		return parse_quote4(icmp + ICMP_HEADER, length - header - ICMP_HEADER, error);
	}
	if (length < ICMP_HEADER + IPV6_HEADER || data[0] != ICMP6_DST_UNREACH)
		return false;
	error->code = data[1];
	return parse_quote6(data + ICMP_HEADER, length - ICMP_HEADER, error);
}

Result<IcmpErrors> IcmpErrors::open()
{
	IcmpErrors errors;

	for (int family : {AF_INET, AF_INET6}) {
		Result<Descriptor> fd = open_socket(family);
		if (!fd.ok() && fd.status().code() != EAFNOSUPPORT)
			return fd.status();
		if (fd.ok())
			(family == AF_INET ? errors.ipv4_ : errors.ipv6_) = fd.take();
	}
	return errors;
}

std::vector<IcmpError> IcmpErrors::read()
{
	std::vector<IcmpError> found;

	if (ipv4_.is_open())
		read_socket(ipv4_.get(), AF_INET, &found);
	if (ipv6_.is_open())
		read_socket(ipv6_.get(), AF_INET6, &found);
	return found;
}

} // namespace shunt
