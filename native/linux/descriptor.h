// SPDX-License-Identifier: Apache-2.0
//
// descriptor.h - a file descriptor that closes itself.
//
// Owns: exactly one descriptor, or none.
// Must never: be copied.
#ifndef SHUNT_LINUX_DESCRIPTOR_H
#define SHUNT_LINUX_DESCRIPTOR_H

#include <unistd.h>

namespace shunt
{

class Descriptor
{
public:
	explicit Descriptor(int fd = -1) : fd_(fd) {}
	Descriptor(Descriptor &&other) noexcept : fd_(other.release()) {}
	Descriptor &operator=(Descriptor &&other) noexcept
	{
		if (this != &other) {
			reset();
			fd_ = other.release();
		}
		return *this;
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	~Descriptor() { reset(); }

	int get() const { return fd_; }
	bool is_open() const { return fd_ >= 0; }
	int release()
	{
		int fd = fd_;

		fd_ = -1;
		return fd;
	}
	void reset()
	{
		if (fd_ >= 0)
			close(fd_);
		fd_ = -1;
	}

private:
	int fd_;
};

} // namespace shunt

#endif
