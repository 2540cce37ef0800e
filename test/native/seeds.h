// SPDX-License-Identifier: Apache-2.0
//
// seeds.h - how many seeds a randomized test runs through.
#ifndef SHUNT_TEST_SEEDS_H
#define SHUNT_TEST_SEEDS_H

#include <cstdlib>

// Under a sanitizer an eighth of the usual count; the environment variable SHUNT_SEEDS sets another.
inline unsigned long long seeds(unsigned long long usual)
{
	const char *count = getenv("SHUNT_SEEDS");

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	usual /= 8;
#endif
	return count ? strtoull(count, nullptr, 10) : usual;
}

#endif
