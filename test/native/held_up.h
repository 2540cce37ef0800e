// SPDX-License-Identifier: Apache-2.0
//
// held_up.h - the packet program, built once more with a door before any look at shared memory.
//
// Owns: the two doors, which a test that includes this defines: others() stands before every first look at a word and every
// swap; others_again() before a second look at once, which one who is held up but rarely is not held up at.
#ifndef SHUNT_TEST_HELD_UP_H
#define SHUNT_TEST_HELD_UP_H

#include <engine_platform.h>

static void others();
static void others_again();

#undef SH_READ_ONCE
#undef SH_READ_FIRST
#undef SH_WRITE_ONCE
#define SH_READ_ONCE(x) (others_again(), __atomic_load_n(&(x), __ATOMIC_RELAXED))
#define SH_READ_FIRST(x) (others(), __atomic_load_n(&(x), __ATOMIC_ACQUIRE))
#define SH_WRITE_ONCE(x, v) (others(), __atomic_store_n(&(x), v, __ATOMIC_RELAXED))
#define __sync_bool_compare_and_swap(p, from, to) (others(), __sync_bool_compare_and_swap(p, from, to))
#define __sync_lock_test_and_set(p, v) (others(), __sync_lock_test_and_set(p, v))

#include "datapath/program.h"

#endif
