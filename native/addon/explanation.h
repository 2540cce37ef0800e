// SPDX-License-Identifier: Apache-2.0
//
// explanation.h - the answer of `shunt explain`, from C++ to JavaScript.
//
// Owns: the translation of engine/explain.h.
#ifndef SHUNT_ADDON_EXPLANATION_H
#define SHUNT_ADDON_EXPLANATION_H

#include <napi.h>

#include "engine/explain.h"

namespace shunt
{

Napi::Value explanation_object(Napi::Env env, const Explanation &explanation);

} // namespace shunt

#endif
