// SPDX-License-Identifier: Apache-2.0
//
// status.h - whether a call succeeded, and if not, why: the only kind of error in native C++.
//
//     Status    of a call that returns nothing else:   if (Status s = open(); !s.ok()) return s;
//     Result<T> of a call that returns a T or a Status: Result<Descriptor> fd = open_socket(); if (!fd.ok()) return fd.status();
//
// Owns: the sentence an operator reads, the step that failed, and the kernel's errno where the kernel refused.
// Must never: be thrown, printed, or dropped: both types are [[nodiscard]].
#ifndef SHUNT_LINUX_STATUS_H
#define SHUNT_LINUX_STATUS_H

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace shunt
{

class [[nodiscard]] Status
{
public:
	// Success. Costs a null pointer.
	Status() = default;

	// A failure that no errno explains. `message` is a whole sentence without its full stop.
	static Status error(std::string message)
	{
		Status status;

		status.detail_ = std::make_shared<const Detail>(Detail{message, std::move(message), 0});
		return status;
	}

	// The kernel or a library refused `step`: "<step>: <strerror>". `code` is errno, or -errno as libbpf returns it.
	static Status system(std::string step, int code)
	{
		int positive = code < 0 ? -code : code;
		std::string message = step + ": " + strerror(positive);
		Status status;

		status.detail_ = std::make_shared<const Detail>(Detail{std::move(step), std::move(message), positive});
		return status;
	}

	bool ok() const { return detail_ == nullptr; }
	// Empty on success.
	std::string message() const { return detail_ ? detail_->message : std::string(); }
	// What was asked when it failed; of an error without errno, its message.
	std::string step() const { return detail_ ? detail_->step : std::string(); }
	// errno; 0 on success, and where no system call failed.
	int code() const { return detail_ ? detail_->code : 0; }

private:
	struct Detail {
		std::string step;
		std::string message;
		int code;
	};

	std::shared_ptr<const Detail> detail_;
};

template <typename T> class [[nodiscard]] Result
{
public:
	Result(T value) : value_(std::move(value)) {}
	// `status` must not be ok.
	Result(Status status) : status_(std::move(status)) {}

	bool ok() const { return value_.has_value(); }
	const Status &status() const { return status_; }
	// Only if ok().
	T &operator*() { return *value_; }
	const T &operator*() const { return *value_; }
	T *operator->() { return &*value_; }
	const T *operator->() const { return &*value_; }
	T take() { return std::move(*value_); }

private:
	std::optional<T> value_;
	Status status_;
};

} // namespace shunt

#endif
