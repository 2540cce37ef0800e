// SPDX-License-Identifier: Apache-2.0
//
// transmit_file.cc - packets to a pcap file (tests) and to a tun device (a backend).
//
// Owns: the pcap file format as far as it is written here: nanosecond timestamps, in this machine's byte order.
// Must never: need pcap.h.
#include <cerrno>
#include <cstdio>
#include <unistd.h>

#include "datapath/parse/wire.h"
#include "datapath/reasons.h"
#include "user/link.h"
#include "user/transmit.h"

namespace shunt
{

namespace
{

class FileTransmit final : public Transmit
{
public:
	FileTransmit(FILE *file, const u64 *clock_ns) : file_(file), clock_ns_(clock_ns) {}
	~FileTransmit() override { fclose(file_); }

	void queue(const sh_frame &frame, u8 *reason) override
	{
		u32 length = static_cast<u32>(frame.end - frame.data);
		u32 header[4] = {static_cast<u32>(*clock_ns_ / 1000000000), static_cast<u32>(*clock_ns_ % 1000000000),
		                 length, length};

		if (fwrite(header, sizeof(header), 1, file_) != 1 || fwrite(frame.data, 1, length, file_) != length)
			*reason = SH_R_transmit_failed;
	}

	void flush() override {}

private:
	FILE *file_;
	const u64 *clock_ns_;
};

class TunTransmit final : public Transmit
{
public:
	explicit TunTransmit(int fd) : fd_(fd) {}

	void queue(const sh_frame &frame, u8 *reason) override
	{
		const u8 *packet = frame.data + sizeof(sh_ethernet);
		ssize_t written;

		do
			written = write(fd_, packet, static_cast<size_t>(frame.end - packet));
		while (written < 0 && errno == EINTR);
		if (written < 0)
			*reason = errno == EAGAIN || errno == ENOBUFS ? SH_R_transmit_full : SH_R_transmit_failed;
	}

	void flush() override {}

private:
	int fd_;
};

} // namespace

std::unique_ptr<Transmit> open_file_transmit(const std::string &file, const u64 *clock_ns, std::string *problem)
{
	const u32 magic = 0xa1b23c4d;
	const u16 version[2] = {2, 4};
	const u32 rest[4] = {0, 0, 262144, 1}; // zone, accuracy, snaplen, link type Ethernet
	FILE *out = fopen(file.c_str(), "wbe");

	if (!out) {
		*problem = system_problem(file + " cannot be written", errno);
		return nullptr;
	}
	if (fwrite(&magic, sizeof(magic), 1, out) != 1 || fwrite(version, sizeof(version), 1, out) != 1 ||
	    fwrite(rest, sizeof(rest), 1, out) != 1) {
		*problem = system_problem(file + " cannot be written", errno);
		fclose(out);
		return nullptr;
	}
	return std::unique_ptr<Transmit>(new FileTransmit(out, clock_ns));
}

std::unique_ptr<Transmit> open_tun_transmit(int fd)
{
	return std::unique_ptr<Transmit>(new TunTransmit(fd));
}

} // namespace shunt
