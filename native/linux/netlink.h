// SPDX-License-Identifier: Apache-2.0
//
// netlink.h - one netlink socket: requests out, checked messages back.
//
// Owns: framing, sequence numbers, and every length that the kernel (or whoever poses as it) claims.
// Must never: wait for ever, or hand out a byte beyond what was received.
#ifndef SHUNT_LINUX_NETLINK_H
#define SHUNT_LINUX_NETLINK_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <vector>

#include "linux/descriptor.h"
#include "linux/failure.h"

namespace shunt
{

// A request under construction: family header first, then attributes.
class NetlinkRequest
{
public:
	// What is longer than `room` has no place, and is not sent.
	NetlinkRequest(uint16_t type, uint16_t flags, size_t room = 512);
	void body(const void *data, size_t length);
	void attribute(uint16_t type, const void *data, size_t length);

	nlmsghdr *header() { return reinterpret_cast<nlmsghdr *>(bytes_.data()); }
	bool overflowed() const { return overflowed_; }

private:
	void append(const void *data, size_t length);

	std::vector<unsigned char> bytes_;
	size_t used_ = NLMSG_HDRLEN;
	bool overflowed_ = false;
};

// Walks attributes with a length check before each access.
class AttributeCursor
{
public:
	AttributeCursor(const unsigned char *begin, const unsigned char *end) : at_(begin), end_(end) {}
	bool next();

	uint16_t type() const { return type_; }
	const unsigned char *data() const { return data_; }
	size_t length() const { return length_; }
	// False when the attribute is shorter than T.
	template <typename T> bool read(T *out) const
	{
		if (length_ < sizeof(T))
			return false;
		memcpy(out, data_, sizeof(T));
		return true;
	}
	AttributeCursor nested() const { return AttributeCursor(data_, data_ + length_); }

private:
	const unsigned char *at_;
	const unsigned char *end_;
	const unsigned char *data_ = nullptr;
	size_t length_ = 0;
	uint16_t type_ = 0;
};

// One message of an answer: its body begins at `data`.
struct NetlinkMessage {
	uint16_t type;
	const unsigned char *data;
	const unsigned char *end;

	// The family header; false when the message is too short for it.
	template <typename T> bool head(T *out) const
	{
		if (static_cast<size_t>(end - data) < sizeof(T))
			return false;
		memcpy(out, data, sizeof(T));
		return true;
	}
	template <typename T> AttributeCursor attributes() const
	{
		size_t skip = NLMSG_ALIGN(sizeof(T));

		return static_cast<size_t>(end - data) < skip ? AttributeCursor(end, end)
		                                              : AttributeCursor(data + skip, end);
	}
};

// Splits one datagram into messages of sequence `sequence`. For tests, and for Netlink itself.
// Returns true when the answer is complete; `failure` is set when the kernel refused.
bool netlink_walk(const unsigned char *data, size_t length, uint32_t sequence, bool dump, bool *interrupted,
                  const std::function<void(const NetlinkMessage &)> &each, Failure *failure, const char *step);

class Netlink
{
public:
	Failure open(int protocol = NETLINK_ROUTE);
	// Sends, and calls `each` for every message of the answer. `step` names the request in a failure.
	Failure ask(NetlinkRequest &request, const char *step, const std::function<void(const NetlinkMessage &)> &each);
	// The same for a long dump: messages are handed out as they come and are not kept. `begin` is called before each try;
	// what came before it is void, since a change interrupted that dump. What came before a failure is void, too.
	Failure stream(NetlinkRequest &request, const char *step, const std::function<void()> &begin,
	               const std::function<void(const NetlinkMessage &)> &each);

private:
	Failure ask_once(NetlinkRequest &request, const char *step, bool *interrupted,
	                 const std::function<void(const NetlinkMessage &)> &each);

	Descriptor socket_;
	uint32_t sequence_ = 0;
};

} // namespace shunt

#endif
