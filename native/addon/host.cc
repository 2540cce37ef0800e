// SPDX-License-Identifier: Apache-2.0
//
// host.cc - openTun of the addon.
//
// Owns: the translation of host/tun.h. The descriptor becomes JavaScript's, which closes it.
#include "addon/doors.h"
#include "addon/fields.h"
#include "host/tun.h"

namespace shunt
{

Napi::Value open_tun_door(const Napi::CallbackInfo &info)
{
	std::string problem;

	if (!info[0].IsString())
		return throw_problem(info.Env(), "the device's name must be a string");
	int fd = open_tun(info[0].As<Napi::String>().Utf8Value(), &problem);
	if (fd < 0)
		return throw_problem(info.Env(), problem);
	return Napi::Number::New(info.Env(), fd);
}

} // namespace shunt
