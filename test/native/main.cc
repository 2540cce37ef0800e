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
	printf("%u passed, 0 failed\n",
	       ran); // a check that fails ends the program at once, and this line is not reached
	return ran ? 0 : 1;
}
