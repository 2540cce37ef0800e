// SPDX-License-Identifier: Apache-2.0
//
// check.h - the whole of the native tests' framework: TEST registers, CHECK stops with the place.
#ifndef SHUNT_TEST_CHECK_H
#define SHUNT_TEST_CHECK_H

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

struct Test {
	const char *name;
	void (*run)();
};

inline std::vector<Test> &tests()
{
	static std::vector<Test> all;
	return all;
}

#define TEST_JOIN(a, b) a##b
#define TEST_AT(line, title) \
	static void TEST_JOIN(test_, line)(); \
	static const bool TEST_JOIN(listed_, line) = (tests().push_back({title, TEST_JOIN(test_, line)}), true); \
	static void TEST_JOIN(test_, line)()
#define TEST(title) TEST_AT(__LINE__, title)

// How many seeds to go through, under a sanitizer an eighth of them; SHUNT_SEEDS asks for more (or fewer).
inline unsigned long long seeds(unsigned long long usual)
{
	const char *wanted = getenv("SHUNT_SEEDS");

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	usual /= 8;
#endif
	return wanted ? strtoull(wanted, nullptr, 10) : usual;
}

#define CHECK(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			exit(1); \
		} \
	} while (0)

#define CHECK_EQUAL(a, b) \
	do { \
		unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b); \
		if (a_ != b_) { \
			fprintf(stderr, "%s:%d: %s is %llu, %s is %llu\n", __FILE__, __LINE__, #a, a_, #b, b_); \
			exit(1); \
		} \
	} while (0)

#endif
