// SPDX-License-Identifier: Apache-2.0
//
// transmit.h - where packets go.
//
// Owns: the interface that all ways out share. Behind it stand an AF_PACKET ring (transmit_ring.cc), sendmmsg
// (transmit_sendmmsg.cc), pcap_inject (transmit_pcap.cc), a pcap file and a tun device (transmit_file.cc).
// Must never: wait. A way out that is full says so, and the packet is counted as transmit_full.
#ifndef SHUNT_USER_TRANSMIT_H
#define SHUNT_USER_TRANSMIT_H

#include <memory>
#include <string>

#include "user/program.h"

namespace shunt
{

class Transmit
{
public:
	virtual ~Transmit() = default;
	// Takes a frame, which must stay as it is until flush() has returned. Where it can't be sent, *reason becomes
	// SH_R_transmit_full or SH_R_transmit_failed, now or in flush(). At most BATCH frames between two flushes.
	virtual void queue(const sh_frame &frame, u8 *reason) = 0;
	virtual void flush() = 0;
};

enum class TransmitKind { ring, sendmmsg, pcap };

// For a network interface. NULL, and one sentence, when it can't be opened.
std::unique_ptr<Transmit> open_transmit(TransmitKind kind, u32 ifindex, bool qdisc_bypass, std::string *problem);
std::unique_ptr<Transmit> open_ring_transmit(u32 ifindex, bool qdisc_bypass, std::string *problem);
std::unique_ptr<Transmit> open_sendmmsg_transmit(u32 ifindex, bool qdisc_bypass, std::string *problem);
std::unique_ptr<Transmit> open_pcap_transmit(u32 ifindex, std::string *problem);

// Appends Ethernet frames to a new pcap file with timestamps in nanoseconds, taken from *clock_ns.
std::unique_ptr<Transmit> open_file_transmit(const std::string &file, const u64 *clock_ns, std::string *problem);
// Writes the IP packets of frames to a tun device without packet information (IFF_NO_PI). The descriptor stays the caller's.
std::unique_ptr<Transmit> open_tun_transmit(int fd);

// An AF_PACKET socket that sends on one interface and receives nothing; -1 and one sentence when it can't be opened.
int open_send_socket(u32 ifindex, bool qdisc_bypass, std::string *problem);

} // namespace shunt

#endif
