// SPDX-License-Identifier: Apache-2.0
//
// capture_ring.cc - packets from an AF_PACKET ring (TPACKET_V3), where the kernel puts them and the program finds them:
// no copy, no system call while there is work.
//
// Owns: the socket and its ring of blocks. PACKET_RESERVE leaves HEADROOM before each frame, so that the packet program
// pushes its headers in place.
// Must never: give a block back while a frame of it is in use.
#include "user/capture.h"

#include <cerrno>
#include <cstring>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/parse/wire.h"
#include "user/link.h"
#include "user/partial_checksum.h"

namespace shunt
{

namespace
{

// The kernel hands over a block that is not full after RETIRE_MS, so at a low rate the number of blocks is the number of
// milliseconds that a worker may be kept from its processor without loss: many small blocks.
constexpr u32 RETIRE_MS = 1;
constexpr u32 BLOCK_BYTES = 64 * 1024;
constexpr u32 SENT_BYTES = 256; // all headers that a stack sends, and more
constexpr u32 DEFAULT_BUFFER = 32 * 1024 * 1024;

class RingCapture final : public Capture
{
public:
	~RingCapture() override
	{
		if (ring_)
			munmap(ring_, (size_t)blocks_ * BLOCK_BYTES);
		if (fd_ >= 0)
			close(fd_);
	}

	bool open(const CaptureOptions &options)
	{
		if (!read_link(options.interface, &link_, &problem_))
			return false;
		ifindex_ = link_.ifindex;
		any_station_ = options.any_station;
		// Protocol 0: nothing arrives before the ring stands and the socket is bound.
		fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		if (fd_ < 0)
			return fail("a packet socket cannot be opened");
		return set_up_ring(options) && bind_to_link(options);
	}

	int fd() const override { return fd_; }

	Taken take(Batch *batch) override
	{
		batch->count = 0;
		batch->sent = 0;
		batch->time_ns = 0;
		while (batch->count == 0) {
			if (left_ == 0 && !next_block())
				return Taken::nothing;
			while (left_ > 0 && batch->count < BATCH) {
				tpacket3_hdr *packet = packet_;

				left_--;
				packet_ = reinterpret_cast<tpacket3_hdr *>(reinterpret_cast<u8 *>(packet) +
				                                           packet->tp_next_offset);
				u8 station = station_of(packet);
				if (!any_station_ && station == PACKET_OTHERHOST) {
					not_for_us_++;
					continue;
				}
				batch->sent |= (u64)(station == PACKET_OUTGOING) << batch->count;
				batch->frames[batch->count++] = frame_of(packet, station == PACKET_OUTGOING);
			}
		}
		return Taken::packets;
	}

	Taken check() override
	{
		char name[IF_NAMESIZE];
		int error = 0;
		socklen_t length = sizeof(error);

		getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
		if (if_indextoname(ifindex_, name))
			return Taken::nothing; // down; the kernel takes the socket up again with the link
		problem_ = "interface " + link_.name + " is gone";
		return Taken::failed;
	}

	u64 dropped() override
	{
		struct tpacket_stats_v3 stats = {};
		socklen_t length = sizeof(stats);

		// Reading them resets them.
		if (getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0)
			dropped_ += stats.tp_drops;
		return dropped_;
	}

private:
	bool fail(const char *what)
	{
		problem_ = system_problem("interface " + link_.name + ": " + what, errno);
		return false;
	}

	template <typename T> bool set(int level, int option, T value)
	{
		return setsockopt(fd_, level, option, &value, sizeof(value)) == 0;
	}

	bool set_up_ring(const CaptureOptions &options)
	{
		struct tpacket_req3 request = {};

		blocks_ = (options.buffer_bytes ? options.buffer_bytes : DEFAULT_BUFFER) / BLOCK_BYTES;
		if (blocks_ < 4)
			blocks_ = 4;
		request.tp_block_size = BLOCK_BYTES;
		request.tp_block_nr = blocks_;
		request.tp_frame_size = 2048; // V3 packs frames tightly; this only has to divide the block
		request.tp_frame_nr = blocks_ * (BLOCK_BYTES / 2048);
		request.tp_retire_blk_tov = RETIRE_MS;
		if (!set(SOL_PACKET, PACKET_VERSION, (int)TPACKET_V3) || !set(SOL_PACKET, PACKET_RESERVE, HEADROOM))
			return fail("TPACKET_V3 is not supported");
		if (setsockopt(fd_, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0)
			return fail("a receive ring cannot be set up");
		void *ring = mmap(nullptr, (size_t)blocks_ * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
		if (ring == MAP_FAILED)
			return fail("the receive ring cannot be mapped");
		ring_ = static_cast<u8 *>(ring);
		return true;
	}

	bool bind_to_link(const CaptureOptions &options)
	{
		struct sockaddr_ll address = {};

		if (options.sent ? !cut_off_sent() : !set(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1))
			return fail("the packet socket takes no filter"); // Linux 4.20
		if (options.busy_poll_us)
			set(SOL_SOCKET, SO_BUSY_POLL, (int)options.busy_poll_us); // a wish: not every driver can
		address.sll_family = AF_PACKET;
		address.sll_protocol = sh_htons(ETH_P_ALL);
		address.sll_ifindex = (int)ifindex_;
		if (bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0)
			return fail("the packet socket cannot be bound");
		if (options.fanout >= 0) {
			// By flow, so that a flow's packets stay in order.
			int fanout = (options.fanout & 0xffff) | PACKET_FANOUT_HASH << 16;

			if (!set(SOL_PACKET, PACKET_FANOUT, fanout))
				return fail("the fanout group cannot be joined");
		}
		return true;
	}

	// Of what this host sends, which may be 64 KiB in one, only the headers are asked for.
	bool cut_off_sent()
	{
		struct sock_filter code[] = {
			{BPF_LD | BPF_B | BPF_ABS, 0, 0, (u32)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
			{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
			{BPF_RET | BPF_K, 0, 0, SENT_BYTES},
			{BPF_RET | BPF_K, 0, 0, 0x40000},
		};

		return set(SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog{sizeof(code) / sizeof(code[0]), code});
	}

	tpacket_block_desc *block(u32 i) const
	{
		return reinterpret_cast<tpacket_block_desc *>(ring_ + (size_t)i * BLOCK_BYTES);
	}

	// Gives the block in hand back to the kernel and takes the next, if it is ours.
	bool next_block()
	{
		if (held_) {
			__atomic_store_n(&block(current_)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
			current_ = current_ + 1 == blocks_ ? 0 : current_ + 1;
			held_ = false;
		}
		tpacket_block_desc *next = block(current_);
		if (!(__atomic_load_n(&next->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return false;
		held_ = true;
		left_ = next->hdr.bh1.num_pkts;
		packet_ = reinterpret_cast<tpacket3_hdr *>(reinterpret_cast<u8 *>(next) +
		                                           next->hdr.bh1.offset_to_first_pkt);
		if (left_ == 0)
			return next_block();
		return true;
	}

	static u8 station_of(const tpacket3_hdr *packet)
	{
		const u8 *after = reinterpret_cast<const u8 *>(packet) + TPACKET_ALIGN(sizeof(tpacket3_hdr));

		return reinterpret_cast<const sockaddr_ll *>(after)->sll_pkttype;
	}

	sh_frame frame_of(tpacket3_hdr *packet, bool sent)
	{
		u8 *start = reinterpret_cast<u8 *>(packet);
		sh_frame frame = {start + packet->tp_mac, start + packet->tp_mac + packet->tp_snaplen,
		                  start + TPACKET3_HDRLEN};

		if (packet->tp_status & TP_STATUS_VLAN_VALID) {
			// The kernel took the outer tag out; the program is to see what was on the wire.
			be16 type = packet->tp_status & TP_STATUS_VLAN_TPID_VALID ? sh_htons(packet->hv1.tp_vlan_tpid)
			                                                          : sh_htons(SH_ETH_VLAN);
			be16 tci = sh_htons(packet->hv1.tp_vlan_tci);

			memmove(frame.data - 4, frame.data, 12);
			frame.data -= 4;
			memcpy(frame.data + 12, &type, 2);
			memcpy(frame.data + 14, &tci, 2);
		}
		if (!sent && packet->tp_status & TP_STATUS_CSUMNOTREADY)
			finish_checksum(frame.data, frame.end);
		return frame;
	}

	Link link_;
	bool any_station_ = false;
	int fd_ = -1;
	u8 *ring_ = nullptr;
	u32 blocks_ = 0;
	u32 current_ = 0;
	bool held_ = false;
	u32 left_ = 0; // packets of the held block not handed out yet
	tpacket3_hdr *packet_ = nullptr;
	u64 dropped_ = 0;
};

} // namespace

std::unique_ptr<Capture> open_ring_capture(const CaptureOptions &options, std::string *problem)
{
	std::unique_ptr<RingCapture> capture(new RingCapture);

	if (!capture->open(options)) {
		*problem = capture->problem();
		return nullptr;
	}
	return capture;
}

} // namespace shunt
