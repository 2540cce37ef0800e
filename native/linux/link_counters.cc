// SPDX-License-Identifier: Apache-2.0
//
// link_counters.cc - see the header.
#include "linux/link_counters.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <net/if.h>
#include <utility>

namespace shunt
{

namespace
{

constexpr const char *FOLDER = "/sys/class/net";

const char *const FILES[LINK_COUNTERS] = {
	"rx_packets", "rx_bytes", "rx_dropped", "rx_errors", "tx_packets", "tx_bytes", "tx_dropped", "tx_errors",
};

// A decimal number at offset 0; false if there is none.
bool read_number(int fd, long long *out)
{
	char text[32], *end;
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return false;
	text[length] = '\0';
	errno = 0;
	*out = strtoll(text, &end, 10);
	return end != text && errno == 0;
}

// The file's one line without its end; empty if it cannot be read.
std::string read_line(int fd)
{
	char text[32];
	ssize_t length = pread(fd, text, sizeof(text), 0);

	while (length > 0 && text[length - 1] == '\n')
		length--;
	return length > 0 ? std::string(text, static_cast<size_t>(length)) : std::string();
}

} // namespace

Status LinkCounters::open(const std::string &interface, uint64_t speed_bps)
{
	// The name becomes part of a path.
	if (interface.empty() || interface.size() >= IFNAMSIZ || interface.find('/') != std::string::npos ||
	    interface[0] == '.')
		return Status::system(FOLDER, ENODEV);
	std::string folder = std::string(FOLDER) + "/" + interface;

	for (int i = 0; i < LINK_COUNTERS; i++) {
		files_[i] = Descriptor(::open((folder + "/statistics/" + FILES[i]).c_str(), O_RDONLY | O_CLOEXEC));
		if (!files_[i].is_open())
			return Status::system(FOLDER, errno == ENOENT ? ENODEV : errno);
	}
	// Each of these may be absent: its value is then unknown.
	const std::pair<Descriptor *, const char *> others[] = {
		{&speed_, "/speed"},
		{&operstate_, "/operstate"},
		{&carrier_, "/carrier"},
		{&duplex_, "/duplex"},
	};
	for (auto [file, name] : others)
		*file = Descriptor(::open((folder + name).c_str(), O_RDONLY | O_CLOEXEC));
	speed_override_ = speed_bps;
	return {};
}

Result<LinkCounts> LinkCounters::read() const
{
	LinkCounts out;

	for (int i = 0; i < LINK_COUNTERS; i++) {
		long long number;

		if (!read_number(files_[i].get(), &number))
			return Status::system(FOLDER, ENODEV);
		out[i] = static_cast<uint64_t>(number);
	}
	return out;
}

uint64_t LinkCounters::speed_bps() const
{
	long long megabits;

	if (speed_override_)
		return speed_override_;
	// Unknown is an error on lo, -1 on virtio, 2^32 - 1 on others.
	return read_number(speed_.get(), &megabits) && megabits > 0 && megabits < UINT32_MAX
	               ? static_cast<uint64_t>(megabits) * 1000000
	               : 0;
}

Result<LinkState> LinkCounters::state() const
{
	long long carrier;
	LinkState out;

	out.operstate = read_line(operstate_.get());
	if (out.operstate.empty())
		return Status::system(FOLDER, ENODEV);
	out.carrier = read_number(carrier_.get(), &carrier) ? carrier != 0 : -1;
	out.up = out.operstate == "up" || (out.operstate == "unknown" && out.carrier == 1);
	out.duplex = read_line(duplex_.get());
	if (out.duplex != "full" && out.duplex != "half")
		out.duplex.clear();
	out.speed_bps = speed_bps();
	return out;
}

} // namespace shunt
