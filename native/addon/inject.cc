// SPDX-License-Identifier: Apache-2.0
//
// inject.cc - inject of the addon: frames at line rate, on a thread of libuv's pool, as a promise.
//
// Owns: the translation of user/injector.h.
// Must never: block JavaScript's thread.
#include <optional>

#include "addon/exports.h"
#include "addon/failure.h"
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
		result_ = inject(injection_, never_);
		if (!result_->ok())
			SetError(result_->status().message());
	}

	void OnOK() override
	{
		Napi::Object result = Napi::Object::New(Env());
		const InjectionResult &from = **result_;

		result.Set("sent", (double)from.sent);
		result.Set("full", (double)from.full);
		result.Set("refused", (double)from.refused);
		result.Set("seconds", from.seconds);
		deferred_.Resolve(result);
	}

	void OnError(const Napi::Error &) override { deferred_.Reject(error_of(Env(), result_->status()).Value()); }

private:
	Napi::Promise::Deferred deferred_;
	Injection injection_;
	std::optional<Result<InjectionResult>> result_; // set by Execute()
	std::atomic<bool> never_ = false;
};

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

	auto *job = new InjectJob(info.Env(), std::move(injection));
	Napi::Promise promise = job->promise();
	job->Queue(); // deletes itself
	return promise;
}

} // namespace shunt
