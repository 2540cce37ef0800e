// SPDX-License-Identifier: Apache-2.0
//
// main.cc - runs the native tests whose name contains the first argument, or all.
#include <cstring>

#include "check.h"

int main(int argc, char **argv)
{
	unsigned ran = 0;

	for (const Test &test : tests()) {
		if (argc > 1 && !strstr(test.name, argv[1]))
			continue;
		printf("%s\n", test.name);
		fflush(stdout);
		test.run();
		ran++;
	}
	printf("%u native tests passed\n", ran);
	return ran ? 0 : 1;
}
