// SPDX-License-Identifier: Apache-2.0
//
// capture_file.cc - packets from a pcap file.
//
// Owns: the offline pcap handle.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include "user/capture.h"
#include "user/frame_buffers.h"
#include "user/pcap_handle.h"

namespace shunt
{

namespace
{

class FileCapture final : public Capture
{
public:
	Status open(const std::string &file)
	{
		char error[PCAP_ERRBUF_SIZE] = "";

		name_ = file;
		if (!buffers_.allocate())
			return failure("out of memory for the frame buffers");
		pcap_.reset(pcap_open_offline_with_tstamp_precision(name_.c_str(), PCAP_TSTAMP_PRECISION_NANO, error));
		if (!pcap_)
			return failure(error);
		if (pcap_datalink(pcap_.get()) != DLT_EN10MB)
			return failure("the link type is not Ethernet (DLT_EN10MB)");
		return {};
	}

	// One packet a batch: each has its own time.
	Taken take(Batch *batch) override
	{
		struct pcap_pkthdr *header;
		const u_char *data;
		int got = pcap_next_ex(pcap_.get(), &header, &data);

		batch->count = 0;
		batch->sent = 0;
		if (got == PCAP_ERROR_BREAK)
			return Taken::ended;
		if (got != 1) {
			problem_ = failure(pcap_geterr(pcap_.get()));
			return Taken::failed;
		}
		batch->time_ns = (u64)header->ts.tv_sec * 1000000000 + (u64)header->ts.tv_usec;
		buffers_.add(batch, data, header->caplen);
		return Taken::packets;
	}

private:
	// libpcap names the file in some of its messages.
	Status failure(const std::string &why) const
	{
		return Status::error(why.rfind(name_, 0) == 0 ? why : name_ + ": " + why);
	}

	PcapHandle pcap_;
	std::string name_;
	FrameBuffers buffers_;
};

} // namespace

Result<std::unique_ptr<Capture>> open_file_capture(const std::string &file)
{
	auto capture = std::make_unique<FileCapture>();

	if (Status status = capture->open(file); !status.ok())
		return status;
	return std::unique_ptr<Capture>(std::move(capture));
}

} // namespace shunt
