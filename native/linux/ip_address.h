// SPDX-License-Identifier: Apache-2.0
//
// ip_address.h - an IP address of either family in 16 bytes; IPv4 in IPv4-mapped form (RFC 4291, 2.5.5.2).
//
// Owns: the conversion between that form and the 4 or 16 bytes that netlink carries. Same layout as sh_addr.
// Must never: parse or print text.
#ifndef SHUNT_LINUX_IP_ADDRESS_H
#define SHUNT_LINUX_IP_ADDRESS_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <sys/socket.h>

namespace shunt
{

struct IpAddress {
	std::array<uint8_t, 16> bytes = {}; // network byte order; default: ::, the unspecified address

	// From `length` bytes in network byte order: 4 or 16. Any other length: none.
	static std::optional<IpAddress> from_bytes(const void *data, size_t length)
	{
		IpAddress out;

		if (length == 4) {
			out.bytes[10] = out.bytes[11] = 0xff;
			memcpy(out.bytes.data() + 12, data, 4);
		} else if (length == 16) {
			memcpy(out.bytes.data(), data, 16);
		} else {
			return std::nullopt;
		}
		return out;
	}
	static IpAddress ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
	{
		return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
	}

	bool is_ipv4() const
	{
		static constexpr uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

		return memcmp(bytes.data(), prefix, sizeof(prefix)) == 0;
	}
	// AF_INET, AF_INET6
	uint8_t family() const { return is_ipv4() ? AF_INET : AF_INET6; }
	// The address as its family writes it: 4 or 16 bytes.
	const uint8_t *data() const { return is_ipv4() ? bytes.data() + 12 : bytes.data(); }
	size_t size() const { return is_ipv4() ? 4 : 16; }

	bool operator==(const IpAddress &other) const { return bytes == other.bytes; }
	bool operator<(const IpAddress &other) const { return bytes < other.bytes; }
};

} // namespace shunt

#endif
