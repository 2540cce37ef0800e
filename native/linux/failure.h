// SPDX-License-Identifier: Apache-2.0
//
// failure.h - how a step of this room says that the kernel refused it.
//
// Owns: the pair {step, errno}.
// Must never: throw, or print.
#ifndef SHUNT_LINUX_FAILURE_H
#define SHUNT_LINUX_FAILURE_H

namespace shunt
{

struct Failure {
	const char *step = nullptr; // what was asked of the kernel; null: it went well
	int code = 0;               // errno

	explicit operator bool() const { return step != nullptr; }
};

} // namespace shunt

#endif
