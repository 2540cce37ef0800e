// SPDX-License-Identifier: Apache-2.0
//
// transmit_sendmmsg.cc - frames to an interface, a batch per system call, straight from the capture's buffers.
//
// Owns: an AF_PACKET socket and the message headers of one batch; and open_send_socket, which the ring shares.
// Must never: copy a frame.
#include <cerrno>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "datapath/reasons.h"
#include "user/ethernet_interface.h"
#include "user/transmit.h"

namespace shunt
{

Result<Descriptor> open_send_socket(u32 ifindex, bool qdisc_bypass)
{
	Result<Interface> interface = read_ethernet_interface(ifindex);
	struct sockaddr_ll address = {};
	int bypass = qdisc_bypass;
	int room = 8 * 1024 * 1024;

	if (!interface.ok())
		return interface.status();
	Descriptor fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); // protocol 0: it receives nothing
	address.sll_family = AF_PACKET;
	address.sll_ifindex = static_cast<int>(ifindex);
	if (!fd.is_open() || bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0)
		return Status::system("interface " + interface->name + ": a packet socket cannot be opened", errno);
	if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (qdisc_bypass)
		setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass));
	return fd;
}

namespace
{

class SendmmsgTransmit final : public Transmit
{
public:
	explicit SendmmsgTransmit(Descriptor fd) : fd_(std::move(fd))
	{
		for (u32 i = 0; i < BATCH; i++) {
			messages_[i].msg_hdr.msg_iov = &parts_[i];
			messages_[i].msg_hdr.msg_iovlen = 1;
		}
	}

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
			int sent = sendmmsg(fd_.get(), messages_ + done, count_ - done, MSG_DONTWAIT);

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
	Descriptor fd_;
	u32 count_ = 0;
	struct mmsghdr messages_[BATCH] = {};
	struct iovec parts_[BATCH] = {};
	u8 *reasons_[BATCH];
};

} // namespace

Result<std::unique_ptr<Transmit>> open_sendmmsg_transmit(u32 ifindex, bool qdisc_bypass)
{
	Result<Descriptor> fd = open_send_socket(ifindex, qdisc_bypass);

	if (!fd.ok())
		return fd.status();
	return std::unique_ptr<Transmit>(new SendmmsgTransmit(fd.take()));
}

Result<std::unique_ptr<Transmit>> open_transmit(TransmitKind kind, u32 ifindex, bool qdisc_bypass)
{
	switch (kind) {
	case TransmitKind::ring:
		return open_ring_transmit(ifindex, qdisc_bypass);
	case TransmitKind::sendmmsg:
		return open_sendmmsg_transmit(ifindex, qdisc_bypass);
	case TransmitKind::pcap:
		return open_pcap_transmit(ifindex);
	}
	return Status::error("transmit " + std::to_string((int)kind) + ": there is no such kind");
}

} // namespace shunt
