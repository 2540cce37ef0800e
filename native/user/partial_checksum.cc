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

namespace
{

// Where the transport header is, and what its pseudo-header sums up to.
struct Transport {
	u8 *header = nullptr;
	const u8 *end = nullptr;
	u8 protocol = 0;
	u64 addresses = 0; // unfolded sum of source and destination
};

// False for a frame that is not IP, is a fragment or is cut off.
bool find_ipv4(u8 *p, const u8 *end, Transport *out)
{
	const sh_ipv4 *ip = reinterpret_cast<const sh_ipv4 *>(p);

	if (end - p < (long)sizeof(*ip) || ip->fragment & sh_htons(SH_IPV4_MF | SH_IPV4_OFFSET))
		return false;
	out->protocol = ip->protocol;
	out->header = p + (ip->version_ihl & 0xf) * 4;
	out->end = p + sh_ntohs(ip->length);
	out->addresses = (u64)ip->source + ip->destination;
	return true;
}

bool find_ipv6(u8 *p, const u8 *end, Transport *out)
{
	const sh_ipv6 *ip = reinterpret_cast<const sh_ipv6 *>(p);

	if (end - p < (long)sizeof(*ip))
		return false;
	out->protocol = ip->next;
	out->header = p + sizeof(*ip);
	out->end = out->header + sh_ntohs(ip->length);
	while (out->protocol == SH_EXT_HOP_BY_HOP || out->protocol == SH_EXT_ROUTING ||
	       out->protocol == SH_EXT_DESTINATION) {
		if (end - out->header < 8)
			return false;
		out->protocol = out->header[0];
		out->header += (out->header[1] + 1) * 8;
	}
	out->addresses = sum_bytes(p + 8, 32);
	return true;
}

} // namespace

void finish_partial_checksum(u8 *frame, const u8 *end)
{
	u8 *p = frame + 12;
	Transport transport;
	be16 type = 0;
	u16 checksum;

	for (int tags = 0; tags < 3; tags++, p += 4) {
		if (end - p < 2)
			return;
		memcpy(&type, p, 2);
		if (type != sh_htons(SH_ETH_VLAN) && type != sh_htons(SH_ETH_QINQ))
			break;
	}
	p += 2;
	bool found = type == sh_htons(SH_ETH_IPV4)   ? find_ipv4(p, end, &transport)
	             : type == sh_htons(SH_ETH_IPV6) ? find_ipv6(p, end, &transport)
	                                             : false;
	bool udp = transport.protocol == SH_UDP;
	if (!found || (!udp && transport.protocol != SH_TCP) || transport.end > end ||
	    transport.end - transport.header < (long)(udp ? sizeof(sh_udp) : sizeof(sh_tcp)))
		return;
	u8 *field = transport.header + (udp ? 6 : 16);
	u32 length = (u32)(transport.end - transport.header);
	u16 partial = (u16)~sh_checksum(transport.addresses + sh_htons(transport.protocol) + sh_htons(length));
	memcpy(&checksum, field, 2);
	if (checksum != partial)
		return;
	checksum = sh_checksum(sum_bytes(transport.header, length));
	if (udp && checksum == 0)
		checksum = 0xffff; // RFC 768: 0 would mean none
	memcpy(field, &checksum, 2);
}

} // namespace shunt
