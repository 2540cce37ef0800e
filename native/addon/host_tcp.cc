// SPDX-License-Identifier: Apache-2.0
//
// host_tcp.cc - tcpSessions of the addon: the dump runs on a thread of libuv's pool, its counts come as a promise.
//
// Owns: the translation of linux/tcp_sessions.h.
// Must never: ask the kernel on JavaScript's thread.
#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/tcp_sessions.h"

namespace shunt
{

namespace
{

constexpr u32 ASKED_MAX = 1 << 20;

class TcpSessionsJob : public Napi::AsyncWorker
{
public:
	TcpSessionsJob(Napi::Env env, std::vector<TcpEndpoint> asked)
	    : Napi::AsyncWorker(env, "shunt TCP sessions"), deferred_(Napi::Promise::Deferred::New(env)),
	      asked_(std::move(asked))
	{
	}

	Napi::Promise promise() const { return deferred_.Promise(); }

	void Execute() override { failure_ = tcp_sessions(asked_, &counts_); }

	void OnOK() override
	{
		if (failure_) {
			deferred_.Reject(error_of(Env(), failure_).Value());
			return;
		}
		Napi::Uint32Array result = Napi::Uint32Array::New(Env(), counts_.size());
		for (size_t i = 0; i < counts_.size(); i++)
			result[i] = counts_[i];
		deferred_.Resolve(result);
	}

	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

private:
	Napi::Promise::Deferred deferred_;
	std::vector<TcpEndpoint> asked_;
	std::vector<u32> counts_;
	Failure failure_;
};

} // namespace

Napi::Value tcp_sessions_door(const Napi::CallbackInfo &info)
{
	std::vector<TcpEndpoint> asked;

	if (!info[0].IsArray())
		return throw_problem(info.Env(), "TCP sessions are asked for by an array of {address, port}");
	Napi::Array list = info[0].As<Napi::Array>();
	if (list.Length() > ASKED_MAX)
		return throw_problem(info.Env(),
		                     "TCP sessions are asked for at no more than 1048576 addresses and ports");
	Fields::begin();
	for (u32 i = 0; i < list.Length() && Fields::problem().empty(); i++) {
		std::string place = "[" + std::to_string(i) + "]";
		Fields one(list.Get(i), place);
		u64 port = one.number("port", 65535);

		if (port == 0)
			one.complain("port", "must be from 1 to 65535");
		asked.push_back({one.address("address"), (u16)port});
	}
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	auto *job = new TcpSessionsJob(info.Env(), std::move(asked));
	Napi::Promise promise = job->promise();
	job->Queue(); // deletes itself
	return promise;
}

} // namespace shunt
