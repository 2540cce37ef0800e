// SPDX-License-Identifier: Apache-2.0
//
// capture_stream.cc - see the header.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include "user/capture_stream.h"

#include <cerrno>
#include <pcap/pcap.h>
#include <poll.h>

namespace shunt
{

namespace
{

class PcapStream final : public CaptureStream
{
public:
	~PcapStream() override
	{
		if (pcap_)
			pcap_close(pcap_);
	}

	bool open(const StreamOptions &options, std::string *problem)
	{
		char error[PCAP_ERRBUF_SIZE] = "";
		struct bpf_program program;
		bool live = options.file.empty();

		name_ = live ? "interface " + options.interface : options.file;
		pcap_ = live ? pcap_create(options.interface.c_str(), error)
		             : pcap_open_offline_with_tstamp_precision(options.file.c_str(), PCAP_TSTAMP_PRECISION_NANO,
		                                                       error);
		if (!pcap_)
			return fail(error, problem);
		if (live) {
			pcap_set_snaplen(pcap_, (int)options.snaplen);
			pcap_set_promisc(pcap_, options.promiscuous);
			pcap_set_buffer_size(pcap_, 16 * 1024 * 1024);
			pcap_set_immediate_mode(pcap_, 1); // people want to see a packet when it comes
			pcap_set_tstamp_precision(pcap_, PCAP_TSTAMP_PRECISION_NANO);
			if (pcap_activate(pcap_) < 0 || pcap_setnonblock(pcap_, 1, error) < 0)
				return fail(*error ? error : pcap_geterr(pcap_), problem);
			fd_ = pcap_get_selectable_fd(pcap_);
		}
		nanoseconds_ = pcap_get_tstamp_precision(pcap_) == PCAP_TSTAMP_PRECISION_NANO;
		if (options.filter.empty())
			return true;
		if (pcap_compile(pcap_, &program, options.filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) < 0)
			return fail(("the filter '" + options.filter + "' is not understood: " + pcap_geterr(pcap_))
			                    .c_str(),
			            problem);
		bool set = pcap_setfilter(pcap_, &program) == 0;
		pcap_freecode(&program);
		return set || fail(pcap_geterr(pcap_), problem);
	}

	bool read(u32 max, int timeout_ms, std::vector<StreamPacket> *packets, bool *ended,
	          std::string *problem) override
	{
		*ended = false;
		packets_ = packets;
		if (fd_ < 0) {
			int got = pcap_dispatch(pcap_, (int)max, on_packet, reinterpret_cast<u_char *>(this));

			*ended = got == 0;
			return got >= 0 || fail(pcap_geterr(pcap_), problem);
		}
		// With a memory-mapped ring, packets may be there although poll would wait: look first.
		int got = pcap_dispatch(pcap_, (int)max, on_packet, reinterpret_cast<u_char *>(this));
		if (got == 0 && timeout_ms > 0) {
			struct pollfd wait = {fd_, POLLIN, 0};

			poll(&wait, 1, timeout_ms);
			got = pcap_dispatch(pcap_, (int)max, on_packet, reinterpret_cast<u_char *>(this));
		}
		return got >= 0 || fail(pcap_geterr(pcap_), problem);
	}

	int fd() const override { return fd_; }
	int linktype() const override { return pcap_datalink(pcap_); }
	u64 dropped() override
	{
		struct pcap_stat stats = {};

		return fd_ >= 0 && pcap_stats(pcap_, &stats) == 0 ? stats.ps_drop : 0;
	}

private:
	static void on_packet(u_char *self, const struct pcap_pkthdr *header, const u_char *data)
	{
		PcapStream *stream = reinterpret_cast<PcapStream *>(self);
		u64 fraction = (u64)header->ts.tv_usec * (stream->nanoseconds_ ? 1 : 1000);

		stream->packets_->push_back(StreamPacket{(u64)header->ts.tv_sec * 1000000000 + fraction, header->len,
		                                         std::vector<u8>(data, data + header->caplen)});
	}

	bool fail(const char *why, std::string *problem)
	{
		// libpcap names the file in some of its sentences.
		*problem = std::string(why).find(name_) == 0 ? why : name_ + ": " + why;
		return false;
	}

	pcap_t *pcap_ = nullptr;
	int fd_ = -1;
	bool nanoseconds_ = false;
	std::string name_;
	std::vector<StreamPacket> *packets_ = nullptr;
};

} // namespace

std::unique_ptr<CaptureStream> open_capture_stream(const StreamOptions &options, std::string *problem)
{
	std::unique_ptr<PcapStream> stream(new PcapStream);

	if (!stream->open(options, problem))
		return nullptr;
	return stream;
}

} // namespace shunt
