// SPDX-License-Identifier: Apache-2.0
//
// transmit_file.cc - frames to a pcap file, and to nothing.
//
// Owns: the pcap file format as far as it is written here: nanosecond timestamps, in this machine's byte order.
// Must never: need pcap.h.
#include "engine/transmit.h"

#include <cerrno>
#include <cstdio>

#include "datapath/reasons.h"

namespace shunt
{

namespace
{

struct CloseFile {
	void operator()(FILE *file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

class FileTransmit final : public Transmit
{
public:
	FileTransmit(File file, const u64 *clock_ns) : file_(std::move(file)), clock_ns_(clock_ns) {}

	void queue(const sh_frame &frame, u8 *reason) override
	{
		u32 length = static_cast<u32>(frame.end - frame.data);
		u32 header[4] = {static_cast<u32>(*clock_ns_ / 1000000000), static_cast<u32>(*clock_ns_ % 1000000000),
		                 length, length};

		if (fwrite(header, sizeof(header), 1, file_.get()) != 1 ||
		    fwrite(frame.data, 1, length, file_.get()) != length)
			*reason = SH_R_transmit_failed;
	}

	void flush() override {}

private:
	File file_;
	const u64 *clock_ns_;
};

class NullTransmit final : public Transmit
{
public:
	void queue(const sh_frame &, u8 *) override {}
	void flush() override {}
};

} // namespace

Result<std::unique_ptr<Transmit>> open_file_transmit(const std::string &file, const u64 *clock_ns)
{
	const u32 magic = 0xa1b23c4d;
	const u16 version[2] = {2, 4};
	const u32 rest[4] = {0, 0, 262144, 1}; // zone, accuracy, snaplen, link type Ethernet
	File out(fopen(file.c_str(), "wbe"));

	if (!out || fwrite(&magic, sizeof(magic), 1, out.get()) != 1 ||
	    fwrite(version, sizeof(version), 1, out.get()) != 1 || fwrite(rest, sizeof(rest), 1, out.get()) != 1)
		return Status::system(file + " cannot be written", errno);
	return std::unique_ptr<Transmit>(new FileTransmit(std::move(out), clock_ns));
}

std::unique_ptr<Transmit> open_null_transmit()
{
	return std::make_unique<NullTransmit>();
}

} // namespace shunt
