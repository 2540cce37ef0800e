// SPDX-License-Identifier: Apache-2.0
//
// engine_options.h - the options of both engines, as JavaScript writes them.
#ifndef SHUNT_ADDON_ENGINE_OPTIONS_H
#define SHUNT_ADDON_ENGINE_OPTIONS_H

#include "addon/fields.h"
#include "kernel/kernel_engine.h"
#include "user/user_engine.h"

namespace shunt
{

// Wrong options are reported by Fields::problem().
UserEngineOptions read_user_options(const Fields &f);
KernelEngineOptions read_kernel_options(const Fields &f);

} // namespace shunt

#endif
