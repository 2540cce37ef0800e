// SPDX-License-Identifier: Apache-2.0
//
// link.cc - counters, state and speed of one network interface, by descriptors that stay open.
#include "linux/link.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <net/if.h>
#include <utility>

namespace shunt
{

namespace
{

const char *const FILES[LINK_COUNTERS] = {
	"rx_packets", "rx_bytes", "rx_dropped", "rx_errors", "tx_packets", "tx_bytes", "tx_dropped", "tx_errors",
};

// A decimal number at offset 0; false when there is none.
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

// A word and a line's end at offset 0; empty when there is none.
std::string read_word(int fd)
{
	char text[32];
	ssize_t length = pread(fd, text, sizeof(text), 0);

	while (length > 0 && text[length - 1] == '\n')
		length--;
	return length > 0 ? std::string(text, static_cast<size_t>(length)) : std::string();
}

} // namespace

Failure LinkCounters::open(const std::string &interface, u64 speed_bps)
{
	// The name becomes part of a path.
	if (interface.empty() || interface.size() >= IFNAMSIZ || interface.find('/') != std::string::npos ||
	    interface[0] == '.')
		return {"/sys/class/net", ENODEV};
	std::string folder = "/sys/class/net/" + interface;

	for (int i = 0; i < LINK_COUNTERS; i++) {
		files_[i] = Descriptor(::open((folder + "/statistics/" + FILES[i]).c_str(), O_RDONLY | O_CLOEXEC));
		if (!files_[i].is_open())
			return {"/sys/class/net", errno == ENOENT ? ENODEV : errno};
	}
	// An interface may lack one of these; then it reads as unknown.
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

Failure LinkCounters::read(u64 (&out)[LINK_COUNTERS]) const
{
	for (int i = 0; i < LINK_COUNTERS; i++) {
		long long number;

		if (!read_number(files_[i].get(), &number))
			return {"/sys/class/net", ENODEV};
		out[i] = static_cast<u64>(number);
	}
	return {};
}

u64 LinkCounters::speed_bps() const
{
	long long megabits;

	if (speed_override_)
		return speed_override_;
	// lo answers with an error, virtio with -1, others with 2^32 - 1.
	return read_number(speed_.get(), &megabits) && megabits > 0 && megabits < UINT32_MAX
	               ? static_cast<u64>(megabits) * 1000000
	               : 0;
}

Failure LinkCounters::state(LinkState *out) const
{
	long long carrier;

	out->operstate = read_word(operstate_.get());
	if (out->operstate.empty())
		return {"/sys/class/net", ENODEV};
	out->carrier = read_number(carrier_.get(), &carrier) ? carrier != 0 : -1;
	out->up = out->operstate == "up" || (out->operstate == "unknown" && out->carrier == 1);
	out->duplex = read_word(duplex_.get());
	if (out->duplex != "full" && out->duplex != "half")
		out->duplex.clear();
	out->speed_bps = speed_bps();
	return {};
}

} // namespace shunt
