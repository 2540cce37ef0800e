// SPDX-License-Identifier: Apache-2.0
//
// mapping.h - a piece of memory: anonymous, which the kernel fills with zeros as it is touched, or shared with a BPF map.
//
// Owns: mmap and munmap of the session table, the statistics and the frame buffers.
// Must never: be moved while a worker runs.
#ifndef SHUNT_ENGINE_MAPPING_H
#define SHUNT_ENGINE_MAPPING_H

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/mman.h>
#include <utility>

namespace shunt
{

class Mapping
{
public:
	Mapping() = default;
	Mapping(const Mapping &) = delete;
	Mapping(Mapping &&other) noexcept { *this = std::move(other); }
	Mapping &operator=(Mapping &&other) noexcept
	{
		std::swap(data_, other.data_);
		std::swap(bytes_, other.bytes_);
		return *this;
	}
	Mapping &operator=(const Mapping &) = delete;
	~Mapping() { release(); }

	// False if there is not enough memory; then nothing has changed.
	bool allocate(size_t bytes, bool huge_pages = false)
	{
		void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		               0);

		if (p == MAP_FAILED)
			return false;
		if (huge_pages)
			madvise(p, bytes, MADV_HUGEPAGE); // best effort: without it there are more TLB misses
		release();
		data_ = static_cast<uint8_t *>(p);
		bytes_ = bytes;
		return true;
	}

	// The memory behind a descriptor, shared with every other mapping of it: a BPF map, say. False: see errno.
	bool map(int fd, size_t bytes)
	{
		void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p == MAP_FAILED)
			return false;
		release();
		data_ = static_cast<uint8_t *>(p);
		bytes_ = bytes;
		return true;
	}

	// Makes every page present. False if there is not enough memory.
	bool touch()
	{
#ifdef MADV_POPULATE_WRITE
		if (madvise(data_, bytes_, MADV_POPULATE_WRITE) == 0)
			return true;
		if (errno != EINVAL)
			return false;
#endif
		memset(data_, 0, bytes_); // before Linux 5.14
		return true;
	}

	uint8_t *data() const { return data_; }
	size_t bytes() const { return bytes_; }

private:
	void release()
	{
		if (data_)
			munmap(data_, bytes_);
		data_ = nullptr;
	}

	uint8_t *data_ = nullptr;
	size_t bytes_ = 0;
};

} // namespace shunt

#endif
