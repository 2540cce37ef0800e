// SPDX-License-Identifier: Apache-2.0
//
// pcap_handle.h - a pcap_t that closes itself.
//
// Must never: meet libbpf's headers in one translation unit (both define bpf_insn).
#ifndef SHUNT_USER_PCAP_HANDLE_H
#define SHUNT_USER_PCAP_HANDLE_H

#include <memory>
#include <pcap/pcap.h>

namespace shunt
{

struct ClosePcap {
	void operator()(pcap_t *pcap) const { pcap_close(pcap); }
};
using PcapHandle = std::unique_ptr<pcap_t, ClosePcap>;

} // namespace shunt

#endif
