// SPDX-License-Identifier: Apache-2.0
//
// host_tcp.cc - the binding tcpSessions: the dump runs on a thread of libuv's pool, a promise resolves to its counts.
//
// Owns: the translation of linux/tcp_sessions.h.
// Must never: query the kernel on JavaScript's thread.
#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/tcp_sessions.h"

namespace shunt
{

namespace
{

constexpr u32 ENDPOINTS_MAX = 1 << 20;

class TcpSessionsJob : public Napi::AsyncWorker
{
public:
	TcpSessionsJob(Napi::Env env, std::vector<TcpEndpoint> endpoints)
	    : Napi::AsyncWorker(env, "shunt TCP sessions"), deferred_(Napi::Promise::Deferred::New(env)),
	      endpoints_(std::move(endpoints))
	{
	}

	Napi::Promise promise() const { return deferred_.Promise(); }

	void Execute() override { result_ = tcp_sessions(endpoints_); }

	void OnOK() override
	{
		if (!result_.ok()) {
			deferred_.Reject(error_of(Env(), result_.status()).Value());
			return;
		}
		const std::vector<uint32_t> &counts = *result_;
		Napi::Uint32Array array = Napi::Uint32Array::New(Env(), counts.size());
		for (size_t i = 0; i < counts.size(); i++)
			array[i] = counts[i];
		deferred_.Resolve(array);
	}

	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

private:
	Napi::Promise::Deferred deferred_;
	std::vector<TcpEndpoint> endpoints_;
	Result<std::vector<uint32_t>> result_ = std::vector<uint32_t>();
};

} // namespace

Napi::Value tcp_sessions_binding(const Napi::CallbackInfo &info)
{
	std::vector<TcpEndpoint> endpoints;

	if (!info[0].IsArray())
		return throw_problem(info.Env(), "the endpoints of tcpSessions must be an array of {address, port}");
	Napi::Array list = info[0].As<Napi::Array>();
	if (list.Length() > ENDPOINTS_MAX)
		return throw_problem(info.Env(), "tcpSessions takes at most 1048576 endpoints");
	Fields::begin();
	for (u32 i = 0; i < list.Length() && Fields::problem().empty(); i++) {
		std::string place = "[" + std::to_string(i) + "]";
		Fields one(list.Get(i), place);
		u64 port = one.number("port", 65535);

		sh_addr address = one.address("address");
		if (port == 0)
			one.complain("port", "must be from 1 to 65535");
		endpoints.push_back({*IpAddress::from_bytes(address.b, sizeof(address.b)), (u16)port});
	}
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	auto *job = new TcpSessionsJob(info.Env(), std::move(endpoints));
	Napi::Promise promise = job->promise();
	job->Queue(); // deletes itself
	return promise;
}

} // namespace shunt
