// SPDX-License-Identifier: Apache-2.0
//
// netlink.h - netlink requests and answers: libmnl's messages, attributes and socket behind checks of every length.
//
// Owns: framing, sequence numbers, and the check of every length in an answer, from whichever process it comes.
// Must never: block without a limit, or pass on a byte beyond what was received.
#ifndef SHUNT_LINUX_NETLINK_H
#define SHUNT_LINUX_NETLINK_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <vector>

#include "linux/status.h"

struct mnl_socket;

namespace shunt
{

// A request under construction: the family header first, then attributes.
class NetlinkRequest
{
public:
	// `room`: bytes of the whole message. A request that outgrows it is not sent: Netlink answers EMSGSIZE.
	NetlinkRequest(uint16_t type, uint16_t flags, size_t room = 512);
	template <typename Head> void family_header(const Head &head) { put_family_header(&head, sizeof(head)); }
	void attribute(uint16_t type, const void *data, size_t length);

	nlmsghdr *header() { return reinterpret_cast<nlmsghdr *>(bytes_.data()); }
	bool overflowed() const { return overflowed_; }

private:
	void put_family_header(const void *head, size_t length);

	std::vector<unsigned char> bytes_;
	bool overflowed_ = false;
};

// Iterates over attributes. The first one that claims more than is left, or less than its own header, ends the iteration.
class AttributeCursor
{
public:
	AttributeCursor(const unsigned char *begin, const unsigned char *end) : at_(begin), end_(end) {}
	// Moves to the next attribute, at first to the first one. False at the end.
	bool next();

	uint16_t type() const { return type_; } // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	const unsigned char *data() const { return data_; }
	size_t length() const { return length_; }
	// Copies the attribute's first bytes; false if it is shorter than T.
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

// One message of an answer, without its nlmsghdr. Valid during the call that passes it.
struct NetlinkMessage {
	uint16_t type; // nlmsg_type
	const unsigned char *data;
	const unsigned char *end;

	// Copies the family header; false if the message is too short for it.
	template <typename T> bool head(T *out) const
	{
		if (static_cast<size_t>(end - data) < sizeof(T))
			return false;
		memcpy(out, data, sizeof(T));
		return true;
	}
	// The attributes behind a family header of type T; none if the message is too short for it.
	template <typename T> AttributeCursor attributes() const
	{
		size_t skip = NLMSG_ALIGN(sizeof(T));

		return static_cast<size_t>(end - data) < skip ? AttributeCursor(end, end)
		                                              : AttributeCursor(data + skip, end);
	}
};

using NetlinkHandler = std::function<void(const NetlinkMessage &)>;

// What one datagram of an answer held.
struct NetlinkProgress {
	bool complete = false;    // the answer's last message was among them, or `status` is an error
	bool interrupted = false; // NLM_F_DUMP_INTR: the kernel's list changed during the dump
	Status status;            // the kernel's error; EBADMSG: a message's length is wrong
};

// Splits one datagram into messages and passes those of `sequence` to `each`. Separate for tests.
NetlinkProgress netlink_walk(const unsigned char *data, size_t length, uint32_t sequence, bool dump,
                             const NetlinkHandler &each, const char *step);

// One socket. Not for use by two threads at a time.
class Netlink
{
public:
	// `protocol`: NETLINK_ROUTE, NETLINK_GENERIC, NETLINK_SOCK_DIAG (netlink(7)).
	Status open(int protocol = NETLINK_ROUTE);
	// Sends `request` and passes every message of the answer to `each`, after the answer is complete. `step` names the
	// request in an error. ETIMEDOUT: no answer for a second. EAGAIN: changes interrupted each of four dumps.
	Status ask(NetlinkRequest &request, const char *step, const NetlinkHandler &each);
	// The same without keeping the answer, for long dumps: messages are passed as they arrive. `begin` is called before
	// each try and voids what an interrupted try has passed. What came before an error is void as well.
	Status stream(NetlinkRequest &request, const char *step, const std::function<void()> &begin,
	              const NetlinkHandler &each);

private:
	struct Close {
		void operator()(mnl_socket *socket) const;
	};

	NetlinkProgress ask_once(NetlinkRequest &request, const char *step, const NetlinkHandler &each);

	std::unique_ptr<mnl_socket, Close> socket_;
	uint32_t sequence_ = 0;
};

} // namespace shunt

#endif
