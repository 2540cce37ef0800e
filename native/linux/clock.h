// SPDX-License-Identifier: Apache-2.0
//
// clock.h - the kernel's clocks in nanoseconds.
//
// Owns: the conversion of struct timespec. clock_gettime(2) does not fail for these clocks.
// Must never: be used by a room that takes `now` as an argument.
#ifndef SHUNT_LINUX_CLOCK_H
#define SHUNT_LINUX_CLOCK_H

#include <cstdint>
#include <ctime>

namespace shunt
{

inline uint64_t clock_ns(clockid_t clock)
{
	timespec now = {};

	clock_gettime(clock, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// CLOCK_MONOTONIC: since an arbitrary point, without the time that the host was suspended. bpf_ktime_get_ns() reads it.
inline uint64_t monotonic_ns()
{
	return clock_ns(CLOCK_MONOTONIC);
}

// CLOCK_BOOTTIME: since boot, suspended time included. bpf_ktime_get_boot_ns() reads it.
inline uint64_t boottime_ns()
{
	return clock_ns(CLOCK_BOOTTIME);
}

// CLOCK_REALTIME: since 1970-01-01 UTC; it is set, and then jumps.
inline uint64_t realtime_ns()
{
	return clock_ns(CLOCK_REALTIME);
}

} // namespace shunt

#endif
