// SPDX-License-Identifier: Apache-2.0
//
// capture_pcap.cc - packets from an interface through libpcap.
//
// Ingress and egress frames come by two handles, since libpcap does not tell the direction of a frame. A filter on each
// socket decides by the kernel's own packet type, so a change of the interface's MAC address needs no attention here:
//
//   ingress handle   PACKET_OUTGOING is not captured; of a frame for another station one byte is, which marks it
//   egress handle    PACKET_OUTGOING alone, cut off at EGRESS_BYTES; a TSO segment has up to 64 KiB
//
// Owns: both handles, and what libpcap has no call for: fanout, busy polling and the filters, set on its sockets.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include "user/capture.h"

#include <cerrno>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "linux/clock.h"
#include "user/ethernet_interface.h"
#include "user/frame_buffers.h"
#include "user/partial_checksum.h"
#include "user/pcap_handle.h"

namespace shunt
{

namespace
{

constexpr u32 OTHER_STATION = 1;        // captured bytes of a frame for another station
constexpr u32 EGRESS_BYTES = 256;       // all headers that a stack sends
constexpr u32 WHOLE = 0x40000;          // longer than any frame
constexpr u32 EGRESS_SHARE = BATCH / 4; // of a batch, so that a full ingress ring does not starve egress frames
constexpr u32 EGRESS_GROUP = 0x8000;    // egress handles of several workers make a fanout group of their own
// The kernel hands over a block of 256 KiB that is not full after 1 ms. At a low rate the number of blocks is therefore
// the number of milliseconds that a worker may be kept from its processor without loss.
constexpr u32 DEFAULT_BUFFER = 64 * 1024 * 1024;
constexpr int RETIRE_MS = 1;

class PcapCapture final : public Capture
{
public:
	Status open(const CaptureOptions &options)
	{
		Result<Interface> interface = read_ethernet_interface(options.interface);

		if (!interface.ok())
			return interface.status();
		name_ = interface->name;
		ifindex_ = interface->index;
		if (!buffers_.allocate())
			return failure("out of memory for the frame buffers");
		u32 other = options.other_stations ? WHOLE : OTHER_STATION;
		Status status = open_handle(options, options.snaplen ? options.snaplen : FrameBuffers::LARGEST,
		                            {0, other, WHOLE}, options.fanout, &ingress_);
		if (!status.ok() || !options.sent)
			return status;
		return open_handle(options, EGRESS_BYTES, {EGRESS_BYTES, 0, 0},
		                   options.fanout < 0 ? -1 : (int)(options.fanout ^ EGRESS_GROUP), &egress_);
	}

	std::vector<int> fds() const override
	{
		std::vector<int> list = {pcap_get_selectable_fd(ingress_.pcap.get())};

		if (egress_.pcap)
			list.push_back(pcap_get_selectable_fd(egress_.pcap.get()));
		return list;
	}

	Taken take(Batch *batch) override
	{
		batch->count = 0;
		batch->sent = 0;
		batch->time_ns = 0;
		batch_ = batch;
		if (!dispatch(ingress_, BATCH - (egress_.pcap ? EGRESS_SHARE : 0), on_ingress) ||
		    (egress_.pcap && !dispatch(egress_, BATCH - batch->count, on_egress)))
			return Taken::failed;
		return batch->count ? Taken::packets : Taken::nothing;
	}

	Taken check() override
	{
		char name[IF_NAMESIZE];

		if (if_indextoname(ifindex_, name))
			return Taken::nothing;
		problem_ = failure("the interface is gone");
		return Taken::failed;
	}

	u64 dropped() override
	{
		u64 sum = 0;

		for (const Handle *handle : {&ingress_, &egress_}) {
			struct pcap_stat stats = {};

			if (handle->pcap && pcap_stats(handle->pcap.get(), &stats) == 0)
				sum += stats.ps_drop;
		}
		return sum;
	}

private:
	struct Handle {
		PcapHandle pcap;
		u64 since_ns = 0; // realtime: frames before it came before the filter; 0: none of them is left
	};
	// Captured bytes by the kernel's packet type; 0: the frame is not captured.
	struct CapturedBytes {
		u32 outgoing, other_station, rest;
	};

	Status failure(const std::string &why) const { return Status::error("interface " + name_ + ": " + why); }
	Status refused(const char *step) const { return Status::system("interface " + name_ + ": " + step, errno); }

	Status open_handle(const CaptureOptions &options, u32 snaplen, const CapturedBytes &bytes, int fanout,
	                   Handle *handle)
	{
		char error[PCAP_ERRBUF_SIZE] = "";
		u32 buffer = options.buffer_bytes ? options.buffer_bytes : DEFAULT_BUFFER;

		handle->pcap.reset(pcap_create(name_.c_str(), error));
		pcap_t *pcap = handle->pcap.get();
		if (!pcap)
			return failure(error);
		pcap_set_snaplen(pcap, (int)snaplen);
		pcap_set_buffer_size(pcap, (int)buffer);
		// Not immediate mode: it makes libpcap use a ring of fixed frames, and costs a third of the rate.
		pcap_set_timeout(pcap, RETIRE_MS);
		pcap_set_promisc(pcap, options.any_station ? 1 : 0);
		pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
		if (pcap_activate(pcap) < 0)
			return failure(pcap_geterr(pcap));
		if (pcap_datalink(pcap) != DLT_EN10MB)
			return failure("the link type is not Ethernet (DLT_EN10MB)");
		if (pcap_setnonblock(pcap, 1, error) < 0)
			return failure(error);
		if (Status status = set_filter(pcap_fileno(pcap), bytes); !status.ok())
			return status;
		handle->since_ns = realtime_ns();
		return set_options(pcap_fileno(pcap), options.busy_poll_us, fanout);
	}

	// Not by pcap_setfilter: libpcap would run the filter again in user space, where no packet type is known.
	Status set_filter(int fd, const CapturedBytes &bytes) const
	{
		struct sock_filter code[] = {
			{BPF_LD | BPF_B | BPF_ABS, 0, 0, (u32)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
			{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
			{BPF_RET | BPF_K, 0, 0, bytes.outgoing},
			{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OTHERHOST},
			{BPF_RET | BPF_K, 0, 0, bytes.other_station},
			{BPF_RET | BPF_K, 0, 0, bytes.rest},
		};
		struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

		if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
			return refused("SO_ATTACH_FILTER");
		return {};
	}

	Status set_options(int fd, u32 busy_poll_us, int fanout) const
	{
		int busy_poll = (int)busy_poll_us;
		// By flow, so that a flow's packets stay in order.
		int group = (fanout & 0xffff) | PACKET_FANOUT_HASH << 16;

		if (busy_poll) // best effort: not every driver supports it
			setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &busy_poll, sizeof(busy_poll));
		if (fanout >= 0 && setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) < 0)
			return refused("PACKET_FANOUT");
		return {};
	}

	bool dispatch(Handle &handle, u32 most, pcap_handler on_packet)
	{
		current_ = &handle;
		if (pcap_dispatch(handle.pcap.get(), (int)most, on_packet, reinterpret_cast<u_char *>(this)) >= 0)
			return true;
		problem_ = failure(pcap_geterr(handle.pcap.get()));
		return false;
	}

	bool before_filter(const struct pcap_pkthdr *header)
	{
		if (!current_->since_ns)
			return false;
		if ((u64)header->ts.tv_sec * 1000000000 + (u64)header->ts.tv_usec < current_->since_ns)
			return true;
		current_->since_ns = 0;
		return false;
	}

	static void on_ingress(u_char *self, const struct pcap_pkthdr *header, const u_char *data)
	{
		PcapCapture *capture = reinterpret_cast<PcapCapture *>(self);

		if (capture->before_filter(header))
			return;
		if (header->caplen == OTHER_STATION) {
			capture->not_for_us_++;
			return;
		}
		const sh_frame &frame = capture->buffers_.add(capture->batch_, data, header->caplen);
		finish_partial_checksum(frame.data, frame.end);
	}

	static void on_egress(u_char *self, const struct pcap_pkthdr *header, const u_char *data)
	{
		PcapCapture *capture = reinterpret_cast<PcapCapture *>(self);

		if (capture->before_filter(header))
			return;
		capture->batch_->sent |= 1ull << capture->batch_->count;
		capture->buffers_.add(capture->batch_, data, header->caplen);
	}

	std::string name_;
	Handle ingress_, egress_;
	Handle *current_ = nullptr; // of the dispatch in progress
	FrameBuffers buffers_;
	Batch *batch_ = nullptr; // of the take() in progress
};

} // namespace

Result<std::unique_ptr<Capture>> open_pcap_capture(const CaptureOptions &options)
{
	auto capture = std::make_unique<PcapCapture>();

	if (Status status = capture->open(options); !status.ok())
		return status;
	return std::unique_ptr<Capture>(std::move(capture));
}

} // namespace shunt
