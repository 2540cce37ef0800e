// SPDX-License-Identifier: Apache-2.0
//
// netlink.cc - see the header.
#include "linux/netlink.h"

#include <cerrno>
#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace shunt
{

namespace
{

constexpr size_t RECEIVE_BYTES = 65536;
constexpr int RECEIVES_MAX = 1 << 16; // datagrams of one answer; a dump of ten million sockets needs fewer
constexpr int TRIES_MAX = 4;          // of a dump that changes interrupt

NetlinkProgress failed(const char *step, int code)
{
	return {true, false, Status::system(step, code)};
}

} // namespace

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags, size_t room)
    : bytes_(room < MNL_NLMSG_HDRLEN ? MNL_NLMSG_HDRLEN : room)
{
	nlmsghdr *header = mnl_nlmsg_put_header(bytes_.data());

	header->nlmsg_type = type;
	header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
}

void NetlinkRequest::put_family_header(const void *head, size_t length)
{
	// libmnl doesn't check this one.
	if (header()->nlmsg_len + MNL_ALIGN(length) > bytes_.size()) {
		overflowed_ = true;
		return;
	}
	memcpy(mnl_nlmsg_put_extra_header(header(), length), head, length);
}

void NetlinkRequest::attribute(uint16_t type, const void *data, size_t length)
{
	// libmnl would truncate the length to the 16 bits of nla_len.
	if (length > UINT16_MAX - sizeof(nlattr) || !mnl_attr_put_check(header(), bytes_.size(), type, length, data))
		overflowed_ = true;
}

bool AttributeCursor::next()
{
	const auto *attribute = reinterpret_cast<const nlattr *>(at_);

	if (at_ >= end_ || !mnl_attr_ok(attribute, static_cast<int>(end_ - at_)))
		return false;
	type_ = mnl_attr_get_type(attribute);
	data_ = static_cast<const unsigned char *>(mnl_attr_get_payload(attribute));
	length_ = mnl_attr_get_payload_len(attribute);
	// The last one need not be padded.
	size_t step = MNL_ALIGN(length_ + sizeof(nlattr));
	at_ = step > static_cast<size_t>(end_ - at_) ? end_ : at_ + step;
	return true;
}

NetlinkProgress netlink_walk(const unsigned char *data, size_t length, uint32_t sequence, bool dump,
                             const NetlinkHandler &each, const char *step)
{
	const auto *header = reinterpret_cast<const nlmsghdr *>(data);
	int left = static_cast<int>(length);
	NetlinkProgress progress;

	for (; left >= static_cast<int>(sizeof(*header)); header = mnl_nlmsg_next(header, &left)) {
		// libmnl compares nlmsg_len as a signed number: above INT_MAX it would pass.
		if (header->nlmsg_len > static_cast<uint32_t>(left) || !mnl_nlmsg_ok(header, left))
			return failed(step, EBADMSG);
		if (header->nlmsg_seq != sequence)
			continue; // the rest of an answer that was given up
		const auto *payload = static_cast<const unsigned char *>(mnl_nlmsg_get_payload(header));
		NetlinkMessage message = {header->nlmsg_type, payload, payload + mnl_nlmsg_get_payload_len(header)};
		if (header->nlmsg_flags & NLM_F_DUMP_INTR)
			progress.interrupted = true;
		if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_type == NLMSG_DONE) {
			int32_t code = 0;

			if (!message.head(&code) && header->nlmsg_type == NLMSG_ERROR)
				code = -EBADMSG;
			if (code < 0)
				progress.status = Status::system(step, code);
			progress.complete = true;
			return progress;
		}
		if (header->nlmsg_type == NLMSG_NOOP)
			continue;
		each(message);
		if (!dump) {
			progress.complete = true;
			return progress;
		}
	}
	return progress;
}

void Netlink::Close::operator()(mnl_socket *socket) const
{
	mnl_socket_close(socket);
}

Status Netlink::open(int protocol)
{
	timeval patience = {1, 0};
	int on = 1;

	socket_.reset(mnl_socket_open2(protocol, SOCK_CLOEXEC));
	if (!socket_)
		return Status::system("socket(AF_NETLINK)", errno);
	if (mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
		return Status::system("bind(AF_NETLINK)", errno);
	// The kernel answers before sendto() returns; the limit is for what should not happen.
	int fd = mnl_socket_get_fd(socket_.get());
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return Status::system("SO_RCVTIMEO", errno);
	// A dump can then be restricted to one interface. Kernels before 4.20 lack it, so callers check what they get.
	mnl_socket_setsockopt(socket_.get(), NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return {};
}

Status Netlink::ask(NetlinkRequest &request, const char *step, const NetlinkHandler &each)
{
	struct Copy {
		uint16_t type;
		std::vector<unsigned char> bytes;
	};
	std::vector<Copy> answer;
	Status status = stream(
		request, step, [&] { answer.clear(); },
		[&](const NetlinkMessage &message) {
			answer.push_back({message.type, {message.data, message.end}});
		});

	if (status.ok())
		for (const Copy &copy : answer)
			each({copy.type, copy.bytes.data(), copy.bytes.data() + copy.bytes.size()});
	return status;
}

Status Netlink::stream(NetlinkRequest &request, const char *step, const std::function<void()> &begin,
                       const NetlinkHandler &each)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		begin();
		NetlinkProgress progress = ask_once(request, step, each);
		if (!progress.status.ok() || !progress.interrupted)
			return progress.status;
	}
	return Status::system(step, EAGAIN);
}

// libmnl's own receive doesn't report the sender, so recvmsg() is called here.
NetlinkProgress Netlink::ask_once(NetlinkRequest &request, const char *step, const NetlinkHandler &each)
{
	bool dump = (request.header()->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	std::vector<unsigned char> buffer(RECEIVE_BYTES);
	bool interrupted = false;

	if (request.overflowed())
		return failed(step, EMSGSIZE);
	if (!socket_)
		return failed(step, EBADF);
	request.header()->nlmsg_seq = ++sequence_;
	if (mnl_socket_sendto(socket_.get(), request.header(), request.header()->nlmsg_len) < 0)
		return failed(step, errno);
	for (int i = 0; i < RECEIVES_MAX; i++) {
		sockaddr_nl from = {};
		iovec part = {buffer.data(), buffer.size()};
		msghdr message = {};

		message.msg_name = &from;
		message.msg_namelen = sizeof(from);
		message.msg_iov = &part;
		message.msg_iovlen = 1;
		ssize_t length = recvmsg(mnl_socket_get_fd(socket_.get()), &message, 0);
		if (length < 0) {
			if (errno == EINTR)
				continue;
			return failed(step, errno == EAGAIN ? ETIMEDOUT : errno);
		}
		if (from.nl_pid != 0)
			continue; // a process may send to this socket as well; only the kernel has port 0
		if (message.msg_flags & MSG_TRUNC)
			return failed(step, EMSGSIZE);
		NetlinkProgress progress =
			netlink_walk(buffer.data(), static_cast<size_t>(length), sequence_, dump, each, step);
		interrupted = progress.interrupted = progress.interrupted || interrupted;
		if (progress.complete)
			return progress;
	}
	return failed(step, ETIMEDOUT);
}

} // namespace shunt
