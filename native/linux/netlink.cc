// SPDX-License-Identifier: Apache-2.0
//
// netlink.cc - one netlink socket: requests out, checked messages back.
#include "linux/netlink.h"

#include <cerrno>
#include <sys/socket.h>
#include <sys/time.h>

namespace shunt
{

namespace
{

constexpr size_t RECEIVE_BYTES = 65536;
constexpr int RECEIVES_MAX = 1 << 16; // datagrams of one answer; ten million sockets need fewer
constexpr int TRIES_MAX = 4;          // of a dump that changes interrupt

} // namespace

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags, size_t room)
    : bytes_(room < NLMSG_HDRLEN ? NLMSG_HDRLEN : room)
{
	header()->nlmsg_type = type;
	header()->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
	header()->nlmsg_len = NLMSG_HDRLEN;
}

void NetlinkRequest::append(const void *data, size_t length)
{
	if (length > bytes_.size() || used_ + NLMSG_ALIGN(length) > bytes_.size()) {
		overflowed_ = true;
		return;
	}
	memcpy(bytes_.data() + used_, data, length);
	used_ += NLMSG_ALIGN(length);
	header()->nlmsg_len = static_cast<uint32_t>(used_);
}

void NetlinkRequest::body(const void *data, size_t length)
{
	append(data, length);
}

void NetlinkRequest::attribute(uint16_t type, const void *data, size_t length)
{
	rtattr head = {static_cast<unsigned short>(RTA_LENGTH(length)), type};

	if (RTA_LENGTH(length) > UINT16_MAX) {
		overflowed_ = true;
		return;
	}
	append(&head, sizeof(head));
	append(data, length);
}

bool AttributeCursor::next()
{
	rtattr head;

	if (end_ < at_ || static_cast<size_t>(end_ - at_) < sizeof(head))
		return false;
	memcpy(&head, at_, sizeof(head));
	if (head.rta_len < sizeof(head) || head.rta_len > static_cast<size_t>(end_ - at_))
		return false;
	type_ = static_cast<uint16_t>(head.rta_type & NLA_TYPE_MASK);
	data_ = at_ + sizeof(head);
	length_ = head.rta_len - sizeof(head);
	size_t step = RTA_ALIGN(static_cast<size_t>(head.rta_len));
	at_ = step > static_cast<size_t>(end_ - at_) ? end_ : at_ + step;
	return true;
}

bool netlink_walk(const unsigned char *data, size_t length, uint32_t sequence, bool dump, bool *interrupted,
                  const std::function<void(const NetlinkMessage &)> &each, Failure *failure, const char *step)
{
	const unsigned char *end = data + length;

	while (static_cast<size_t>(end - data) >= sizeof(nlmsghdr)) {
		nlmsghdr head;

		memcpy(&head, data, sizeof(head));
		if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > static_cast<size_t>(end - data)) {
			*failure = {step, EBADMSG};
			return true;
		}
		NetlinkMessage message = {head.nlmsg_type, data + NLMSG_HDRLEN, data + head.nlmsg_len};
		size_t step_bytes = NLMSG_ALIGN(static_cast<size_t>(head.nlmsg_len));
		data = step_bytes > static_cast<size_t>(end - data) ? end : data + step_bytes;
		if (head.nlmsg_seq != sequence)
			continue; // the tail of an answer that was given up
		if (head.nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		if (head.nlmsg_type == NLMSG_ERROR || head.nlmsg_type == NLMSG_DONE) {
			int32_t code = 0;

			if (!message.head(&code) && head.nlmsg_type == NLMSG_ERROR)
				code = -EBADMSG;
			if (code < 0)
				*failure = {step, -code};
			return true;
		}
		if (head.nlmsg_type == NLMSG_NOOP)
			continue;
		each(message);
		if (!dump)
			return true;
	}
	return false;
}

Failure Netlink::open(int protocol)
{
	timeval patience = {1, 0};
	int on = 1;

	socket_ = Descriptor(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
	if (!socket_.is_open())
		return {"socket(AF_NETLINK)", errno};
	// The kernel answers before sendto returns; the limit is for what should not happen.
	if (setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return {"SO_RCVTIMEO", errno};
	// Lets a dump be asked for one interface. Kernels before 4.20 lack it, so callers check what they get.
	setsockopt(socket_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return {};
}

Failure Netlink::ask(NetlinkRequest &request, const char *step, const std::function<void(const NetlinkMessage &)> &each)
{
	std::vector<std::vector<unsigned char>> kept;
	std::vector<uint16_t> types;
	Failure failure = stream(
		request, step,
		[&] {
			kept.clear();
			types.clear();
		},
		[&](const NetlinkMessage &message) {
			kept.emplace_back(message.data, message.end);
			types.push_back(message.type);
		});

	if (!failure)
		for (size_t i = 0; i < kept.size(); i++)
			each({types[i], kept[i].data(), kept[i].data() + kept[i].size()});
	return failure;
}

Failure Netlink::stream(NetlinkRequest &request, const char *step, const std::function<void()> &begin,
                        const std::function<void(const NetlinkMessage &)> &each)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		bool interrupted = false;

		begin();
		Failure failure = ask_once(request, step, &interrupted, each);
		if (failure || !interrupted)
			return failure;
	}
	return {step, EAGAIN};
}

Failure Netlink::ask_once(NetlinkRequest &request, const char *step, bool *interrupted,
                          const std::function<void(const NetlinkMessage &)> &each)
{
	sockaddr_nl kernel = {};
	bool dump = (request.header()->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	std::vector<unsigned char> buffer(RECEIVE_BYTES);

	if (request.overflowed())
		return {step, EMSGSIZE};
	if (!socket_.is_open())
		return {step, EBADF};
	kernel.nl_family = AF_NETLINK;
	request.header()->nlmsg_seq = ++sequence_;
	if (sendto(socket_.get(), request.header(), request.header()->nlmsg_len, 0,
	           reinterpret_cast<sockaddr *>(&kernel), sizeof(kernel)) < 0)
		return {step, errno};
	for (int i = 0; i < RECEIVES_MAX; i++) {
		sockaddr_nl from = {};
		iovec part = {buffer.data(), buffer.size()};
		msghdr message = {};
		Failure failure;

		message.msg_name = &from;
		message.msg_namelen = sizeof(from);
		message.msg_iov = &part;
		message.msg_iovlen = 1;
		ssize_t length = recvmsg(socket_.get(), &message, 0);
		if (length < 0) {
			if (errno == EINTR)
				continue;
			return {step, errno == EAGAIN ? ETIMEDOUT : errno};
		}
		if (from.nl_pid != 0)
			continue; // any process may send to this socket; only the kernel has port 0
		if (message.msg_flags & MSG_TRUNC)
			return {step, EMSGSIZE};
		if (netlink_walk(buffer.data(), static_cast<size_t>(length), sequence_, dump, interrupted, each,
		                 &failure, step))
			return failure;
	}
	return {step, ETIMEDOUT};
}

} // namespace shunt
