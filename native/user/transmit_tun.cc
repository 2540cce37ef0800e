// SPDX-License-Identifier: Apache-2.0
//
// transmit_tun.cc - decapsulated packets to a tun device, one write each.
#include <cerrno>
#include <unistd.h>

#include "datapath/parse/wire.h"
#include "datapath/reasons.h"
#include "user/transmit.h"

namespace shunt
{

namespace
{

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

std::unique_ptr<Transmit> open_tun_transmit(int fd)
{
	return std::make_unique<TunTransmit>(fd);
}

} // namespace shunt
