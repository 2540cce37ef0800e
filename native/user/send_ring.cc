// SPDX-License-Identifier: Apache-2.0
//
// send_ring.cc - see the header.
#include "user/send_ring.h"

#include <bit>
#include <cerrno>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "user/ethernet_interface.h"
#include "user/transmit.h"

namespace shunt
{

constexpr u32 DATA_OFFSET = TPACKET2_HDRLEN - sizeof(struct sockaddr_ll);

SendRing::~SendRing()
{
	if (ring_)
		munmap(ring_, ring_bytes_);
}

Status SendRing::open(u32 ifindex, bool qdisc_bypass, u32 slots)
{
	Result<Interface> interface = read_ethernet_interface(ifindex);
	struct tpacket_req request = {};
	int version = TPACKET_V2;
	int yes = 1;

	if (!interface.ok())
		return interface.status();
	Result<Descriptor> fd = open_send_socket(ifindex, qdisc_bypass);
	if (!fd.ok())
		return fd.status();
	fd_ = fd.take();
	frame_bytes_ = std::bit_ceil(interface->mtu + 22 + DATA_OFFSET);
	if (frame_bytes_ < 2048)
		frame_bytes_ = 2048;
	request.tp_frame_size = frame_bytes_;
	request.tp_block_size = frame_bytes_ > 65536 ? frame_bytes_ : 65536;
	request.tp_frame_nr = std::bit_ceil(slots);
	request.tp_block_nr = request.tp_frame_nr / (request.tp_block_size / frame_bytes_);
	slots_ = request.tp_frame_nr;
	slot_bytes_ = frame_bytes_ - DATA_OFFSET;
	ring_bytes_ = (size_t)slots_ * frame_bytes_;
	// PACKET_LOSS: a frame that the link can't take is dropped and its slot freed, instead of blocking the ring.
	if (setsockopt(fd_.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd_.get(), SOL_PACKET, PACKET_LOSS, &yes, sizeof(yes)) < 0 ||
	    setsockopt(fd_.get(), SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)) < 0)
		return Status::system("interface " + interface->name + ": a transmit ring cannot be set up", errno);
	void *ring = mmap(nullptr, ring_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
	if (ring == MAP_FAILED)
		return Status::system("interface " + interface->name + ": the transmit ring cannot be mapped", errno);
	ring_ = static_cast<u8 *>(ring);
	return {};
}

u8 *SendRing::slot()
{
	tpacket2_hdr *slot = reinterpret_cast<tpacket2_hdr *>(header(next_));
	u32 status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);

	if (status & (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING))
		return nullptr;
	if (status & TP_STATUS_WRONG_FORMAT)
		refused_++;
	return header(next_) + DATA_OFFSET;
}

void SendRing::commit(u32 length)
{
	tpacket2_hdr *slot = reinterpret_cast<tpacket2_hdr *>(header(next_));

	slot->tp_len = length;
	__atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	next_ = next_ + 1 == slots_ ? 0 : next_ + 1;
}

int SendRing::kick()
{
	if (sendto(fd_.get(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0)
		return 0;
	return errno;
}

void SendRing::wait(int timeout_ms)
{
	struct pollfd wait = {fd_.get(), POLLOUT, 0};

	poll(&wait, 1, timeout_ms);
}

u32 SendRing::refused()
{
	u32 refused = refused_;

	refused_ = 0;
	return refused;
}

bool SendRing::drained() const
{
	const tpacket2_hdr *last = reinterpret_cast<tpacket2_hdr *>(header((next_ + slots_ - 1) % slots_));

	return !(__atomic_load_n(&last->tp_status, __ATOMIC_ACQUIRE) & (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING));
}

} // namespace shunt
