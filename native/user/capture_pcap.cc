// SPDX-License-Identifier: Apache-2.0
//
// capture_pcap.cc - packets through libpcap: live, and from a file.
//
// Owns: pcap handles for capture. libpcap lends a packet for the length of a callback and leaves no room before it, so
// each is copied once, into a buffer that has both.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include "user/capture.h"

#include <cstring>
#include <net/if.h>
#include <pcap/pcap.h>

#include "engine/mapping.h"
#include "user/link.h"

namespace shunt
{

namespace
{

constexpr u32 LARGEST = 65536 + 18; // an IP packet and Ethernet with a tag
constexpr u32 SLOT = (HEADROOM + LARGEST + 63) / 64 * 64;
constexpr int DEFAULT_BUFFER = 16 * 1024 * 1024;

class PcapBuffers
{
public:
	bool allocate() { return memory_.allocate((size_t)SLOT * BATCH); }
	void add(Batch *batch, const u8 *data, u32 length)
	{
		u8 *floor = memory_.data() + (size_t)SLOT * batch->count;

		length = length < LARGEST ? length : LARGEST;
		memcpy(floor + HEADROOM, data, length);
		batch->frames[batch->count++] = sh_frame{floor + HEADROOM, floor + HEADROOM + length, floor};
	}

private:
	Mapping memory_;
};

class LiveCapture final : public Capture
{
public:
	~LiveCapture() override
	{
		if (pcap_)
			pcap_close(pcap_);
	}

	bool open(const CaptureOptions &options)
	{
		char error[PCAP_ERRBUF_SIZE] = "";

		if (!read_link(options.interface, &link_, &problem_))
			return false;
		ifindex_ = link_.ifindex;
		any_station_ = options.any_station;
		sent_ = options.sent;
		if (!buffers_.allocate())
			return fail("no memory");
		pcap_ = pcap_create(options.interface.c_str(), error);
		if (!pcap_)
			return fail(error);
		pcap_set_snaplen(pcap_, options.snaplen ? (int)options.snaplen : (int)LARGEST);
		pcap_set_buffer_size(pcap_, options.buffer_bytes ? (int)options.buffer_bytes : DEFAULT_BUFFER);
		// Not immediate mode: it makes libpcap use a ring of fixed frames, and costs a third of the rate.
		pcap_set_timeout(pcap_, 1);
		pcap_set_promisc(pcap_, options.any_station ? 1 : 0);
		if (pcap_activate(pcap_) < 0)
			return fail(pcap_geterr(pcap_));
		if (pcap_datalink(pcap_) != DLT_EN10MB)
			return fail("it does not speak Ethernet");
		if (pcap_setdirection(pcap_, sent_ ? PCAP_D_INOUT : PCAP_D_IN) < 0 ||
		    pcap_setnonblock(pcap_, 1, error) < 0)
			return fail(pcap_geterr(pcap_));
		return true;
	}

	int fd() const override { return pcap_get_selectable_fd(pcap_); }

	Taken take(Batch *batch) override
	{
		batch->count = 0;
		batch->sent = 0;
		batch->time_ns = 0;
		batch_ = batch;
		int got = pcap_dispatch(pcap_, BATCH, on_packet, reinterpret_cast<u_char *>(this));
		if (got < 0) {
			fail(pcap_geterr(pcap_));
			return Taken::failed;
		}
		return batch->count ? Taken::packets : Taken::nothing;
	}

	Taken check() override
	{
		char name[IF_NAMESIZE];

		if (if_indextoname(ifindex_, name))
			return Taken::nothing;
		problem_ = "interface " + link_.name + " is gone";
		return Taken::failed;
	}

	u64 dropped() override
	{
		struct pcap_stat stats = {};

		return pcap_stats(pcap_, &stats) == 0 ? stats.ps_drop : 0;
	}

private:
	static void on_packet(u_char *self, const struct pcap_pkthdr *header, const u_char *data)
	{
		LiveCapture *capture = reinterpret_cast<LiveCapture *>(self);

		// libpcap tells no direction either; what this link sends has its address as the source.
		if (capture->sent_ && header->caplen >= 12 && memcmp(data + 6, capture->link_.mac, 6) == 0) {
			capture->batch_->sent |= 1ull << capture->batch_->count;
			capture->buffers_.add(capture->batch_, data, header->caplen);
			return;
		}
		// The kernel's own test (for us, broadcast or multicast), which libpcap does not hand on.
		if (!capture->any_station_ && header->caplen >= 6 && !(data[0] & 1) &&
		    memcmp(data, capture->link_.mac, 6) != 0) {
			capture->not_for_us_++;
			return;
		}
		capture->buffers_.add(capture->batch_, data, header->caplen);
	}

	bool fail(const char *why)
	{
		problem_ = "interface " + link_.name + ": " + why;
		return false;
	}

	pcap_t *pcap_ = nullptr;
	Link link_;
	PcapBuffers buffers_;
	Batch *batch_ = nullptr;
	bool any_station_ = false;
	bool sent_ = false;
};

class FileCapture final : public Capture
{
public:
	~FileCapture() override
	{
		if (pcap_)
			pcap_close(pcap_);
	}

	bool open(const CaptureOptions &options)
	{
		char error[PCAP_ERRBUF_SIZE] = "";

		name_ = options.file;
		if (!buffers_.allocate())
			return fail("no memory");
		pcap_ = pcap_open_offline_with_tstamp_precision(name_.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
		if (!pcap_)
			return fail(error);
		if (pcap_datalink(pcap_) != DLT_EN10MB)
			return fail("it does not hold Ethernet frames");
		return true;
	}

	int fd() const override { return -1; }

	// One packet a batch: each has its own time.
	Taken take(Batch *batch) override
	{
		struct pcap_pkthdr *header;
		const u_char *data;
		int got = pcap_next_ex(pcap_, &header, &data);

		batch->count = 0;
		batch->sent = 0;
		if (got == PCAP_ERROR_BREAK)
			return Taken::ended;
		if (got != 1) {
			fail(pcap_geterr(pcap_));
			return Taken::failed;
		}
		batch->time_ns = (u64)header->ts.tv_sec * 1000000000 + (u64)header->ts.tv_usec;
		buffers_.add(batch, data, header->caplen);
		return Taken::packets;
	}

private:
	bool fail(const char *why)
	{
		problem_ = std::string(why).find(name_) == 0 ? why : name_ + ": " + why;
		return false;
	}

	pcap_t *pcap_ = nullptr;
	std::string name_;
	PcapBuffers buffers_;
};

template <typename Kind> std::unique_ptr<Capture> open_as(const CaptureOptions &options, std::string *problem)
{
	std::unique_ptr<Kind> capture(new Kind);

	if (!capture->open(options)) {
		*problem = capture->problem();
		return nullptr;
	}
	return capture;
}

} // namespace

std::unique_ptr<Capture> open_pcap_capture(const CaptureOptions &options, std::string *problem)
{
	return open_as<LiveCapture>(options, problem);
}

std::unique_ptr<Capture> open_file_capture(const CaptureOptions &options, std::string *problem)
{
	return open_as<FileCapture>(options, problem);
}

} // namespace shunt
