// SPDX-License-Identifier: Apache-2.0
//
// transmit_pcap.cc - frames to an interface by pcap_inject, one system call each.
//
// Owns: a pcap handle that captures nothing.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include <cerrno>
#include <pcap/pcap.h>

#include "datapath/reasons.h"
#include "user/link.h"
#include "user/transmit.h"

namespace shunt
{

namespace
{

class PcapTransmit final : public Transmit
{
public:
	~PcapTransmit() override
	{
		if (pcap_)
			pcap_close(pcap_);
	}

	bool open(u32 ifindex, std::string *problem)
	{
		char error[PCAP_ERRBUF_SIZE] = "";
		// A handle can't be activated without capturing, so it captures by a filter that takes nothing.
		struct bpf_insn nothing = {BPF_RET | BPF_K, 0, 0, 0};
		struct bpf_program filter = {1, &nothing};
		Link link;

		if (!read_link(ifindex, &link, problem))
			return false;
		pcap_ = pcap_create(link.name.c_str(), error);
		if (!pcap_) {
			*problem = "interface " + link.name + ": " + error;
			return false;
		}
		pcap_set_snaplen(pcap_, 64);
		pcap_set_buffer_size(pcap_, 65536);
		pcap_set_timeout(pcap_, 1000);
		if (pcap_activate(pcap_) < 0 || pcap_setfilter(pcap_, &filter) < 0) {
			*problem = "interface " + link.name + ": " + pcap_geterr(pcap_);
			return false;
		}
		return true;
	}

	void queue(const sh_frame &frame, u8 *reason) override
	{
		if (pcap_inject(pcap_, frame.data, static_cast<size_t>(frame.end - frame.data)) < 0)
			*reason = errno == EAGAIN || errno == ENOBUFS ? SH_R_transmit_full : SH_R_transmit_failed;
	}

	void flush() override {}

private:
	pcap_t *pcap_ = nullptr;
};

} // namespace

std::unique_ptr<Transmit> open_pcap_transmit(u32 ifindex, std::string *problem)
{
	std::unique_ptr<PcapTransmit> transmit(new PcapTransmit);

	if (!transmit->open(ifindex, problem))
		return nullptr;
	return transmit;
}

} // namespace shunt
