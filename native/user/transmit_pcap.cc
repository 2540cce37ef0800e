// SPDX-License-Identifier: Apache-2.0
//
// transmit_pcap.cc - frames to an interface by pcap_inject, one system call each.
//
// Owns: a pcap handle that captures nothing.
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#include <cerrno>

#include "datapath/reasons.h"
#include "user/ethernet_interface.h"
#include "user/pcap_handle.h"
#include "user/transmit.h"

namespace shunt
{

namespace
{

class PcapTransmit final : public Transmit
{
public:
	Status open(u32 ifindex)
	{
		char error[PCAP_ERRBUF_SIZE] = "";
		// A handle can't be activated without capturing, so it captures by a filter that rejects every packet.
		struct bpf_insn nothing = {BPF_RET | BPF_K, 0, 0, 0};
		struct bpf_program filter = {1, &nothing};
		Result<Interface> interface = read_ethernet_interface(ifindex);

		if (!interface.ok())
			return interface.status();
		pcap_.reset(pcap_create(interface->name.c_str(), error));
		pcap_t *pcap = pcap_.get();
		if (!pcap)
			return Status::error("interface " + interface->name + ": " + error);
		pcap_set_snaplen(pcap, 64);
		pcap_set_buffer_size(pcap, 65536);
		pcap_set_timeout(pcap, 1000);
		if (pcap_activate(pcap) < 0 || pcap_setfilter(pcap, &filter) < 0)
			return Status::error("interface " + interface->name + ": " + pcap_geterr(pcap));
		return {};
	}

	void queue(const sh_frame &frame, u8 *reason) override
	{
		if (pcap_inject(pcap_.get(), frame.data, static_cast<size_t>(frame.end - frame.data)) < 0)
			*reason = errno == EAGAIN || errno == ENOBUFS ? SH_R_transmit_full : SH_R_transmit_failed;
	}

	void flush() override {}

private:
	PcapHandle pcap_;
};

} // namespace

Result<std::unique_ptr<Transmit>> open_pcap_transmit(u32 ifindex)
{
	auto transmit = std::make_unique<PcapTransmit>();

	if (Status status = transmit->open(ifindex); !status.ok())
		return status;
	return std::unique_ptr<Transmit>(std::move(transmit));
}

} // namespace shunt
