// SPDX-License-Identifier: Apache-2.0
//
// doors.h - what each file of the addon adds to its exports.
//
// Owns: the list. src/engine/native.ts is the typed description of the same.
// Must never: hold logic.
#ifndef SHUNT_ADDON_DOORS_H
#define SHUNT_ADDON_DOORS_H

#include <napi.h>

namespace shunt
{

Napi::Value reasons(Napi::Env env); // reasons.cc

} // namespace shunt

#endif
