// SPDX-License-Identifier: Apache-2.0
//
// transmit_sendmmsg.cc - frames to an interface, a batch per system call, straight from where they lie.
//
// Owns: an AF_PACKET socket and the message headers of one batch; and open_send_socket, which the ring shares.
// Must never: copy a frame.
#include <cerrno>
#include <cstring>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/reasons.h"
#include "user/link.h"
#include "user/transmit.h"

namespace shunt
{

int open_send_socket(u32 ifindex, bool qdisc_bypass, std::string *problem)
{
	struct sockaddr_ll address = {};
	Link link;
	int bypass = qdisc_bypass;
	int room = 8 * 1024 * 1024;

	if (!read_link(ifindex, &link, problem))
		return -1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); // protocol 0: it receives nothing
	address.sll_family = AF_PACKET;
	address.sll_ifindex = static_cast<int>(ifindex);
	if (fd < 0 || bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0) {
		*problem = system_problem("interface " + link.name + ": a packet socket cannot be opened", errno);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (qdisc_bypass)
		setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass));
	return fd;
}

namespace
{

class SendmmsgTransmit final : public Transmit
{
public:
	explicit SendmmsgTransmit(int fd) : fd_(fd)
	{
		memset(messages_, 0, sizeof(messages_));
		for (u32 i = 0; i < BATCH; i++) {
			messages_[i].msg_hdr.msg_iov = &parts_[i];
			messages_[i].msg_hdr.msg_iovlen = 1;
		}
	}
	~SendmmsgTransmit() override { close(fd_); }

	void queue(const sh_frame &frame, u8 *reason) override
	{
		parts_[count_].iov_base = frame.data;
		parts_[count_].iov_len = static_cast<size_t>(frame.end - frame.data);
		reasons_[count_++] = reason;
		if (count_ == BATCH)
			flush();
	}

	void flush() override
	{
		u32 done = 0;

		while (done < count_) {
			int sent = sendmmsg(fd_, messages_ + done, count_ - done, MSG_DONTWAIT);

			if (sent > 0) {
				done += static_cast<u32>(sent);
			} else if (errno != EINTR) {
				bool full = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;

				*reasons_[done++] = full ? SH_R_transmit_full : SH_R_transmit_failed;
			}
		}
		count_ = 0;
	}

private:
	int fd_;
	u32 count_ = 0;
	struct mmsghdr messages_[BATCH];
	struct iovec parts_[BATCH];
	u8 *reasons_[BATCH];
};

} // namespace

std::unique_ptr<Transmit> open_sendmmsg_transmit(u32 ifindex, bool qdisc_bypass, std::string *problem)
{
	int fd = open_send_socket(ifindex, qdisc_bypass, problem);

	if (fd < 0)
		return nullptr;
	return std::unique_ptr<Transmit>(new SendmmsgTransmit(fd));
}

std::unique_ptr<Transmit> open_transmit(TransmitKind kind, u32 ifindex, bool qdisc_bypass, std::string *problem)
{
	switch (kind) {
	case TransmitKind::ring:
		return open_ring_transmit(ifindex, qdisc_bypass, problem);
	case TransmitKind::sendmmsg:
		return open_sendmmsg_transmit(ifindex, qdisc_bypass, problem);
	case TransmitKind::pcap:
		return open_pcap_transmit(ifindex, problem);
	}
	return nullptr;
}

} // namespace shunt
