// SPDX-License-Identifier: Apache-2.0
//
// transmit.h (user space) - opens the transmits of a network interface and of a tun device (engine/transmit.h).
//
// Owns: the choice between sendmmsg (transmit_sendmmsg.cc), an AF_PACKET ring (transmit_ring.cc) and pcap_inject
// (transmit_pcap.cc), and the socket that the first two share.
// Must never: need pcap.h.
#ifndef SHUNT_USER_TRANSMIT_H
#define SHUNT_USER_TRANSMIT_H

#include "engine/transmit.h"
#include "linux/descriptor.h"

namespace shunt
{

enum class TransmitKind { ring, sendmmsg, pcap };

Result<std::unique_ptr<Transmit>> open_transmit(TransmitKind kind, u32 ifindex, bool qdisc_bypass);
Result<std::unique_ptr<Transmit>> open_ring_transmit(u32 ifindex, bool qdisc_bypass);
Result<std::unique_ptr<Transmit>> open_sendmmsg_transmit(u32 ifindex, bool qdisc_bypass);
Result<std::unique_ptr<Transmit>> open_pcap_transmit(u32 ifindex);

// Writes the IP packets of frames to a tun device without packet information (IFF_NO_PI). The descriptor stays the caller's.
std::unique_ptr<Transmit> open_tun_transmit(int fd);

// An AF_PACKET socket that sends on one interface and receives nothing.
Result<Descriptor> open_send_socket(u32 ifindex, bool qdisc_bypass);

} // namespace shunt

#endif
