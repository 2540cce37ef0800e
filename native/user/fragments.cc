// SPDX-License-Identifier: Apache-2.0
//
// fragments.cc - see the header.
#include "user/fragments.h"

#include <algorithm>
#include <cstring>

#include "datapath/parse/parse.h"

namespace shunt
{

bool Fragments::cut(const sh_frame &frame, u32 room)
{
	constexpr u32 HEADER = sizeof(sh_ipv4);
	sh_parsed p = {};

	count_ = 0;
	if (sh_parse_link(&frame, &p) != SH_CONTINUE || sh_parse_ip(&frame, &p) != SH_CONTINUE ||
	    p.flow.family != SH_IPV4 || p.l4 - p.l3 != HEADER || room < SH_SMALLEST_ROOM)
		return false;
	const u32 payload = sh_fragment_payload(room), bytes = p.ip_length - HEADER;
	const u32 count = (bytes + payload - 1) / payload;
	const size_t stride = HEADROOM + p.l3 + HEADER + payload;
	if (count > SH_FRAGMENTS)
		return false;
	if (memory_.size() < count * stride)
		memory_.resize(count * stride);

	sh_ipv4 header;
	memcpy(&header, frame.data + p.l3, HEADER);
	const u32 flags = sh_ntohs(header.fragment);
	for (u32 i = 0; i < count; i++) {
		const u32 from = i * payload, part = std::min(payload, bytes - from);
		u8 *floor = memory_.data() + i * stride, *data = floor + HEADROOM, *ip = data + p.l3;

		memcpy(data, frame.data, p.l3);
		header.length = sh_htons(HEADER + part);
		header.fragment = sh_htons(((flags & SH_IPV4_OFFSET) + from / 8) |
		                           (from + part < bytes ? (u32)SH_IPV4_MF : flags & SH_IPV4_MF));
		header.checksum = 0;
		header.checksum = sh_checksum(sh_sum(&header, HEADER / 4));
		memcpy(ip, &header, HEADER);
		memcpy(ip + HEADER, frame.data + p.l4 + from, part);
		frames_[i] = {data, ip + HEADER + part, floor};
	}
	count_ = count;
	return true;
}

} // namespace shunt
