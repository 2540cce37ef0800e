// SPDX-License-Identifier: Apache-2.0
//
// sessions.cc - sizes and maps the session table.
#include "engine/sessions.h"

#include <bit>
#include <cstring>

namespace shunt
{

// Buckets that hold `records` before the first eviction.
static u32 buckets_for(u64 records, u32 slots, u32 percent)
{
	u64 buckets = (records * 100 + percent * slots - 1) / (percent * slots);

	if (buckets < 1)
		buckets = 1;
	return static_cast<u32>(std::bit_ceil(buckets < (1ull << 31) ? buckets : (1ull << 31)));
}

SessionGeometry Sessions::geometry_for(u64 records4, u64 records6, u64 fragments)
{
	SessionGeometry geometry;

	geometry.buckets4 = buckets_for(records4, SH_SLOTS4, OCCUPANCY4);
	geometry.buckets6 = buckets_for(records6, SH_SLOTS6, OCCUPANCY6);
	geometry.fragments = std::bit_ceil(static_cast<u32>(fragments ? fragments : 1));
	return geometry;
}

void Sessions::adopt(Mapping memory4, Mapping memory6, Mapping fragments, Mapping failures,
                     const SessionGeometry &geometry)
{
	memory_ = std::move(memory4);
	memory6_ = std::move(memory6);
	memory_fragments_ = std::move(fragments);
	memory_failures_ = std::move(failures);
	geometry_ = geometry;
	bucket4_ = reinterpret_cast<sh_bucket4 *>(memory_.data());
	bucket6_ = reinterpret_cast<sh_bucket6 *>(memory6_.data());
	fragments_ = reinterpret_cast<sh_fragment *>(memory_fragments_.data());
	failures_ = reinterpret_cast<sh_failure_report *>(memory_failures_.data());
}

bool Sessions::allocate(u64 records4, u64 records6, u64 fragments, bool touch)
{
	geometry_ = geometry_for(records4, records6, fragments);

	size_t bytes4 = (size_t)geometry_.buckets4 * sizeof(sh_bucket4);
	size_t bytes6 = (size_t)geometry_.buckets6 * sizeof(sh_bucket6);
	size_t bytes_fragments = (size_t)geometry_.fragments * sizeof(sh_fragment);
	size_t bytes_told = SH_PENDING_REDIRECTS * sizeof(sh_pending_redirect);
	size_t bytes_failures = SH_FAILURE_REPORTS * sizeof(sh_failure_report);
	size_t bytes = bytes4 + bytes6 + bytes_fragments + bytes_told + bytes_failures + SH_LIMIT_CELLS * sizeof(u32);
	u8 *at;

	if (!memory_.allocate(bytes, true) || (touch && !memory_.touch()))
		return false;
	bucket4_ = reinterpret_cast<sh_bucket4 *>(memory_.data());
	bucket6_ = reinterpret_cast<sh_bucket6 *>(memory_.data() + bytes4);
	fragments_ = reinterpret_cast<sh_fragment *>(memory_.data() + bytes4 + bytes6);
	at = memory_.data() + bytes4 + bytes6 + bytes_fragments;
	told_ = reinterpret_cast<sh_pending_redirect *>(at);
	failures_ = reinterpret_cast<sh_failure_report *>(at + bytes_told);
	limits_ = reinterpret_cast<u32 *>(at + bytes_told + bytes_failures);
	return true;
}

void Sessions::clear()
{
	memset(memory_.data(), 0, memory_.bytes());
}

} // namespace shunt
