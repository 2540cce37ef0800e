// SPDX-License-Identifier: Apache-2.0
//
// unix_datagram.h - one datagram to a Unix socket, which Node cannot send: the notifications of sd_notify(3).
//
// Owns: the address, by path or in the abstract name space, and the time limit of a full receiver.
// Must never: know what the text means.
#ifndef SHUNT_LINUX_UNIX_DATAGRAM_H
#define SHUNT_LINUX_UNIX_DATAGRAM_H

#include <string>

#include "linux/status.h"

namespace shunt
{

// `socket`: an absolute path, or '@' and the name of an abstract socket, as NOTIFY_SOCKET has them. EINVAL: it is
// neither, or too long; EAGAIN: the receiver has not read for a second.
Status send_unix_datagram(const std::string &socket, const std::string &text);

} // namespace shunt

#endif
