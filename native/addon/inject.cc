// SPDX-License-Identifier: Apache-2.0
//
// inject.cc - inject of the addon: frames at line rate, on a thread of libuv's pool, as a promise.
//
// Owns: the translation of user/injector.h.
// Must never: block JavaScript's thread.
#include "addon/doors.h"
#include "addon/fields.h"
#include "user/injector.h"

namespace shunt
{

namespace
{

class InjectJob : public Napi::AsyncWorker
{
public:
	InjectJob(Napi::Env env, Injection injection)
	    : Napi::AsyncWorker(env, "shunt inject"), deferred_(Napi::Promise::Deferred::New(env)),
	      injection_(std::move(injection))
	{
	}

	Napi::Promise promise() const { return deferred_.Promise(); }

	void Execute() override
	{
		std::string problem;

		if (!inject(injection_, never_, &result_, &problem))
			SetError(problem);
	}

	void OnOK() override
	{
		Napi::Object result = Napi::Object::New(Env());

		result.Set("sent", (double)result_.sent);
		result.Set("full", (double)result_.full);
		result.Set("refused", (double)result_.refused);
		result.Set("seconds", result_.seconds);
		deferred_.Resolve(result);
	}

	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

private:
	Napi::Promise::Deferred deferred_;
	Injection injection_;
	InjectionResult result_;
	std::atomic<bool> never_ = false;
};

} // namespace

Napi::Value inject_door(const Napi::CallbackInfo &info)
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

	auto *job = new InjectJob(info.Env(), std::move(injection));
	Napi::Promise promise = job->promise();
	job->Queue(); // deletes itself
	return promise;
}

} // namespace shunt
