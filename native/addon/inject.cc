// SPDX-License-Identifier: Apache-2.0
//
// inject.cc - inject of the addon: frames at line rate, on a thread of libuv's pool, as a promise.
//
// Owns: the translation of user/injector.h.
// Must never: block JavaScript's thread.
#include <atomic>

#include "addon/exports.h"
#include "addon/fields.h"
#include "addon/promise_job.h"
#include "user/injector.h"

namespace shunt
{

namespace
{

Napi::Value injection_value(Napi::Env env, const InjectionResult &from)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("sent", (double)from.sent);
	result.Set("full", (double)from.full);
	result.Set("refused", (double)from.refused);
	result.Set("seconds", from.seconds);
	return result;
}

} // namespace

Napi::Value inject_binding(const Napi::CallbackInfo &info)
{
	Injection injection;

	Fields::begin();
	Fields f(info[0], "");
	injection.interface = f.text("interface");
	injection.count = f.number("count", 1ull << 50, 0);
	injection.seconds = f.real("seconds", 0);
	injection.flows = (u32)f.number("flows", 1u << 31, 1);
	injection.pps = f.real("pps", 0);
	std::string transmit = f.text("transmit");
	injection.transmit = transmit == "ring"   ? TransmitKind::ring
	                     : transmit == "pcap" ? TransmitKind::pcap
	                                          : TransmitKind::sendmmsg;
	injection.qdisc_bypass = f.flag("qdiscBypass", true);
	f.list("frames", [&](const Napi::Value &value, const std::string &place) {
		if (!value.IsBuffer()) {
			Fields::complain_at(place, "must be a Buffer");
			return;
		}
		Napi::Buffer<u8> frame = value.As<Napi::Buffer<u8>>();
		injection.frames.emplace_back(frame.Data(), frame.Data() + frame.Length());
	});
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());

	return PromiseJob<InjectionResult>::start(
		info.Env(), "shunt inject",
		[injection = std::move(injection)] {
			const std::atomic<bool> never = false;

			return inject(injection, never);
		},
		injection_value);
}

} // namespace shunt
