// SPDX-License-Identifier: Apache-2.0
//
// icmp_errors.h - the ICMP and ICMPv6 errors "destination unreachable" that this network namespace receives, by raw sockets,
// which get a copy of each (raw(7)). Node has no such socket.
//
// Owns: the sockets, their filters, and the reading of what an error quotes.
// Must never: trust an error; any host can send one that quotes what it likes. The caller compares the quote with what it sends.
#ifndef SHUNT_LINUX_ICMP_ERRORS_H
#define SHUNT_LINUX_ICMP_ERRORS_H

#include <cstdint>
#include <vector>

#include "linux/descriptor.h"
#include "linux/ip_address.h"
#include "linux/status.h"

namespace shunt
{

// An error about a UDP datagram.
struct IcmpError {
	IpAddress reporter; // the router or host that sent it
	uint8_t code;       // of type 3 (IPv4) or 1 (IPv6)
	IpAddress source;   // of the quoted datagram
	IpAddress destination;
	uint16_t destination_port; // host order

	bool is_repeated_by(const IcmpError &other) const
	{
		return code == other.code && source == other.source && destination == other.destination &&
		       destination_port == other.destination_port;
	}
};

class IcmpErrors
{
public:
	// EPERM without CAP_NET_RAW. A family that the kernel lacks is left out.
	static Result<IcmpErrors> open();
	// What has arrived since the last call, each different quote once. Does not block, and reads at most a bounded number: under a
	// flood the sockets' buffers drop the rest.
	std::vector<IcmpError> read();

private:
	Descriptor ipv4_, ipv6_;
};

// What an error quotes. `data`: of IPv4 the packet from its IP header on, of IPv6 from its ICMPv6 header on. false: it is no such
// error, or quotes no UDP ports.
bool parse_icmp_error(uint8_t family, const uint8_t *data, size_t length, IcmpError *error);

} // namespace shunt

#endif
