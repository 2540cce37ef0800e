// SPDX-License-Identifier: Apache-2.0
//
// main.cc - doctest's main(). `--help` lists its options: `-tc='*evict*'` runs the tests whose titles match.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
