// SPDX-License-Identifier: Apache-2.0
//
// host.h - adds native/host to the addon's exports.
//
// Owns: nothing but the declaration.
// Must never: hold logic.
#ifndef SHUNT_ADDON_HOST_H
#define SHUNT_ADDON_HOST_H

#include <napi.h>

namespace shunt
{

// Sets exports.Host; src/engine/host.ts is the typed description of the same.
Napi::Object init_host(Napi::Env env, Napi::Object exports);

} // namespace shunt

#endif
