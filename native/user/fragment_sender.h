// SPDX-License-Identifier: Apache-2.0
//
// fragment_sender.h - the kernel's engine's fragments, by the user-space build of the packet program over the same sessions.
#ifndef SHUNT_USER_FRAGMENT_SENDER_H
#define SHUNT_USER_FRAGMENT_SENDER_H

#include "engine/fragment_sender.h"

namespace shunt
{

// `sessions` must outlive it.
std::unique_ptr<FragmentSender> make_fragment_sender(const Sessions &sessions, std::unique_ptr<Transmit> output);

} // namespace shunt

#endif
