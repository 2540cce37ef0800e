// SPDX-License-Identifier: Apache-2.0
//
// capture_stream.h - captured packets for display (`shunt dump`), live with a filter or from a file.
//
// Owns: a pcap handle, and copies of a few packets at a time.
// Must never: delay the packets themselves. It reads copies; copies that it is too slow for are dropped and counted.
#ifndef SHUNT_USER_CAPTURE_STREAM_H
#define SHUNT_USER_CAPTURE_STREAM_H

#include <memory>
#include <string>
#include <vector>

#include "datapath/types.h"
#include "linux/status.h"

namespace shunt
{

struct StreamOptions {
	std::string interface; // or
	std::string file;
	std::string filter; // as of pcap-filter(7); empty: all
	u32 snaplen = 262144;
	bool promiscuous = false;
};

struct StreamPacket {
	u64 timestamp_ns; // since 1970
	u32 length;       // on the wire
	std::vector<u8> data;
};

struct StreamBatch {
	std::vector<StreamPacket> packets;
	bool ended = false; // no packet follows
};

class CaptureStream
{
public:
	virtual ~CaptureStream() = default;
	// At most `max` packets, waiting at most `timeout_ms` for the first.
	virtual Result<StreamBatch> read(u32 max, int timeout_ms) = 0;
	// Readable when there may be packets; -1 for a file.
	virtual int fd() const = 0;
	// The DLT_ value of the packets: 1 Ethernet, 12 or 101 raw IP, ...
	virtual int linktype() const = 0;
	virtual u64 dropped() = 0;
};

Result<std::unique_ptr<CaptureStream>> open_capture_stream(const StreamOptions &options);

} // namespace shunt

#endif
