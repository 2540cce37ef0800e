// SPDX-License-Identifier: Apache-2.0
//
// capture.h (user space) - opens the captures that stand behind engine/capture.h.
//
// Owns: their options. Both read through libpcap: live (capture_pcap.cc) and from a file (capture_file.cc).
// Must never: need pcap.h.
#ifndef SHUNT_USER_CAPTURE_H
#define SHUNT_USER_CAPTURE_H

#include <memory>
#include <string>

#include "engine/capture.h"

namespace shunt
{

struct CaptureOptions {
	std::string interface;
	u32 snaplen = 0;             // bytes captured of each packet; 0: all
	u32 buffer_bytes = 0;        // of the kernel's ring; 0: 64 MiB
	u32 busy_poll_us = 0;        // SO_BUSY_POLL; 0: off
	int fanout = -1;             // group id that several workers on one interface share; -1: alone
	bool other_stations = false; // also those frames for other stations' MAC addresses that arrive
	bool any_station = false;    // and the interface is promiscuous, so that all of them arrive
	bool sent = false;           // also this host's egress frames, cut off behind their headers
};

Result<std::unique_ptr<Capture>> open_pcap_capture(const CaptureOptions &options);
Result<std::unique_ptr<Capture>> open_file_capture(const std::string &file);

} // namespace shunt

#endif
