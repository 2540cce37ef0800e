// SPDX-License-Identifier: Apache-2.0
//
// capture_stream.cc - see the header.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include "user/capture_stream.h"

#include <poll.h>

#include "user/pcap_handle.h"

namespace shunt
{

namespace
{

class PcapStream final : public CaptureStream
{
public:
	Status open(const StreamOptions &options)
	{
		char error[PCAP_ERRBUF_SIZE] = "";
		bool live = options.file.empty();

		name_ = live ? "interface " + options.interface : options.file;
		pcap_.reset(live ? pcap_create(options.interface.c_str(), error)
		                 : pcap_open_offline_with_tstamp_precision(options.file.c_str(),
		                                                           PCAP_TSTAMP_PRECISION_NANO, error));
		if (!pcap_)
			return failure(error);
		if (live)
			if (Status status = activate(options); !status.ok())
				return status;
		nanoseconds_ = pcap_get_tstamp_precision(pcap_.get()) == PCAP_TSTAMP_PRECISION_NANO;
		return options.filter.empty() ? Status() : set_filter(options.filter);
	}

	Result<StreamBatch> read(u32 max, int timeout_ms) override
	{
		StreamBatch batch;

		packets_ = &batch.packets;
		// With a memory-mapped ring, packets may be there although poll would wait: dispatch first.
		int got = dispatch(max);
		if (fd_ < 0) {
			batch.ended = got == 0;
		} else if (got == 0 && timeout_ms > 0) {
			struct pollfd wait = {fd_, POLLIN, 0};

			poll(&wait, 1, timeout_ms);
			got = dispatch(max);
		}
		if (got < 0)
			return failure(pcap_geterr(pcap_.get()));
		return batch;
	}

	int fd() const override { return fd_; }
	int linktype() const override { return pcap_datalink(pcap_.get()); }
	u64 dropped() override
	{
		struct pcap_stat stats = {};

		return fd_ >= 0 && pcap_stats(pcap_.get(), &stats) == 0 ? stats.ps_drop : 0;
	}

private:
	Status activate(const StreamOptions &options)
	{
		char error[PCAP_ERRBUF_SIZE] = "";
		pcap_t *pcap = pcap_.get();

		pcap_set_snaplen(pcap, (int)options.snaplen);
		pcap_set_promisc(pcap, options.promiscuous);
		pcap_set_buffer_size(pcap, 16 * 1024 * 1024);
		pcap_set_immediate_mode(pcap, 1); // a packet is shown when it arrives
		pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
		if (pcap_activate(pcap) < 0 || pcap_setnonblock(pcap, 1, error) < 0)
			return failure(*error ? error : pcap_geterr(pcap));
		fd_ = pcap_get_selectable_fd(pcap);
		return {};
	}

	Status set_filter(const std::string &filter)
	{
		struct bpf_program program;

		if (pcap_compile(pcap_.get(), &program, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) < 0)
			return failure("the filter '" + filter + "' is not understood: " + pcap_geterr(pcap_.get()));
		bool set = pcap_setfilter(pcap_.get(), &program) == 0;
		pcap_freecode(&program);
		return set ? Status() : failure(pcap_geterr(pcap_.get()));
	}

	int dispatch(u32 max)
	{
		return pcap_dispatch(pcap_.get(), (int)max, on_packet, reinterpret_cast<u_char *>(this));
	}

	static void on_packet(u_char *self, const struct pcap_pkthdr *header, const u_char *data)
	{
		PcapStream *stream = reinterpret_cast<PcapStream *>(self);
		u64 fraction = (u64)header->ts.tv_usec * (stream->nanoseconds_ ? 1 : 1000);

		stream->packets_->push_back(StreamPacket{(u64)header->ts.tv_sec * 1000000000 + fraction, header->len,
		                                         std::vector<u8>(data, data + header->caplen)});
	}

	// libpcap names the file in some of its messages.
	Status failure(const std::string &why) const
	{
		return Status::error(why.rfind(name_, 0) == 0 ? why : name_ + ": " + why);
	}

	PcapHandle pcap_;
	int fd_ = -1; // pcap_'s; -1: a file
	bool nanoseconds_ = false;
	std::string name_;
	std::vector<StreamPacket> *packets_ = nullptr; // of the read in progress
};

} // namespace

Result<std::unique_ptr<CaptureStream>> open_capture_stream(const StreamOptions &options)
{
	auto stream = std::make_unique<PcapStream>();

	if (Status status = stream->open(options); !status.ok())
		return status;
	return std::unique_ptr<CaptureStream>(std::move(stream));
}

} // namespace shunt
