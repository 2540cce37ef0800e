// SPDX-License-Identifier: Apache-2.0
//
// stress_test.cc - the loads under which one session table must stay whole: so small that records change hands all the time,
// nearly full, emptied by hand, and large.
// What runs in the kernel no sanitizer sees; there, and without root, the kernel's part is left out, in words.
#include "stress.h"

namespace
{

constexpr u32 HOUR = 3600000;

// Four buckets of each family; and one that all fit in.
const Load TINY = {4000, 4000, 13, 3, 8, HOUR, true, 1000, 3, 0};
const Load FULL = {4000, 185, 200, 50, 8, 8, false, 1000, 3, 0};
const Load LARGE = {20000, 20000, 40000, 20000, 4096, 40, false, 1000, 3, 0};
const Load CHURN = {4000, 4700, 3400, 850, 64, HOUR, true, 1000, 3, 0};

Load with_kernel(Load load)
{
	load.user_threads = 2;
	load.kernel_threads = 2;
	return load;
}

const char *no_kernel()
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	return "under a sanitizer, which can't see the kernel";
#else
	return geteuid() ? "without root, which alone may load the kernel's program" : nullptr;
#endif
}

} // namespace

TEST_CASE(
	"stress: three threads and the sweep on four buckets: every record is whole, in its place, alone, and its own "
	"flow's")
{
	Stress(TINY).run();
}

TEST_CASE("stress: the same on a table that is nearly full, where records are moved about")
{
	Stress(FULL).run();
}

TEST_CASE("stress: the same where sessions end by hand, all the time")
{
	Stress(CHURN).run();
}

TEST_CASE("stress: the same on a large table where sessions expire")
{
	Stress(LARGE).run();
}

TEST_CASE("stress: both engines and the sweep on four buckets")
{
	if (no_kernel())
		printf("  skipped: %s\n", no_kernel());
	else
		Stress(with_kernel(TINY)).run();
}

TEST_CASE("stress: both engines and the sweep on a table that is nearly full")
{
	if (no_kernel())
		printf("  skipped: %s\n", no_kernel());
	else
		Stress(with_kernel(FULL)).run();
}

TEST_CASE("stress: both engines and the sweep, and sessions end by hand")
{
	if (no_kernel())
		printf("  skipped: %s\n", no_kernel());
	else
		Stress(with_kernel(CHURN)).run();
}

TEST_CASE("stress: both engines and the sweep on a large table where sessions expire")
{
	if (no_kernel())
		printf("  skipped: %s\n", no_kernel());
	else
		Stress(with_kernel(LARGE)).run();
}
