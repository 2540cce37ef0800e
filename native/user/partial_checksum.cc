// SPDX-License-Identifier: Apache-2.0
//
// partial_checksum.cc - see the header.
#include "user/partial_checksum.h"

#include <cstring>

#include "datapath/parse/checksum.h"
#include "datapath/parse/wire.h"

namespace shunt
{

u64 sum_bytes(const u8 *p, u32 length)
{
	u64 sum = 0;

	for (; length >= 4; p += 4, length -= 4) {
		u32 word;
		memcpy(&word, p, 4);
		sum += word;
	}
	if (length >= 2) {
		u16 word;
		memcpy(&word, p, 2);
		sum += word;
		p += 2;
		length -= 2;
	}
	if (length) {
		u8 last[2] = {*p, 0};
		u16 word;
		memcpy(&word, last, 2);
		sum += word;
	}
	return sum;
}

void finish_checksum(u8 *frame, u8 *end)
{
	u8 *p = frame + 12;
	u8 *transport;
	u8 *stop;
	u8 protocol;
	be16 type = 0;

	for (int tags = 0; tags < 3; tags++, p += 4) {
		if (end - p < 2)
			return;
		memcpy(&type, p, 2);
		if (type != sh_htons(SH_ETH_VLAN) && type != sh_htons(SH_ETH_QINQ))
			break;
	}
	p += 2;
	if (type == sh_htons(SH_ETH_IPV4) && end - p >= (long)sizeof(sh_ipv4)) {
		const sh_ipv4 *ip = reinterpret_cast<const sh_ipv4 *>(p);

		if (ip->fragment & sh_htons(SH_IPV4_MF | SH_IPV4_OFFSET))
			return;
		protocol = ip->protocol;
		transport = p + (ip->version_ihl & 0xf) * 4;
		stop = p + sh_ntohs(ip->length);
	} else if (type == sh_htons(SH_ETH_IPV6) && end - p >= (long)sizeof(sh_ipv6)) {
		const sh_ipv6 *ip = reinterpret_cast<const sh_ipv6 *>(p);

		protocol = ip->next;
		transport = p + sizeof(*ip);
		stop = transport + sh_ntohs(ip->length);
		while (protocol == SH_EXT_HOP_BY_HOP || protocol == SH_EXT_ROUTING || protocol == SH_EXT_DESTINATION) {
			if (end - transport < 8)
				return;
			protocol = transport[0];
			transport += (transport[1] + 1) * 8;
		}
	} else {
		return;
	}

	size_t field = protocol == SH_UDP ? 6 : 16;
	size_t least = protocol == SH_UDP ? sizeof(sh_udp) : sizeof(sh_tcp);
	if ((protocol != SH_UDP && protocol != SH_TCP) || stop > end || transport > stop ||
	    (size_t)(stop - transport) < least)
		return;
	u16 checksum = sh_checksum(sum_bytes(transport, (u32)(stop - transport)));
	if (protocol == SH_UDP && checksum == 0)
		checksum = 0xffff; // RFC 768: 0 would mean none
	memcpy(transport + field, &checksum, 2);
}

} // namespace shunt
