// SPDX-License-Identifier: Apache-2.0
//
// host_tcp.cc - the binding tcpSessions: the dump runs on a thread of libuv's pool, a promise resolves to its counts.
//
// Owns: the translation of linux/tcp_sessions.h.
// Must never: query the kernel on JavaScript's thread.
#include "addon/fields.h"
#include "addon/promise_job.h"
#include "linux/tcp_sessions.h"

namespace shunt
{

namespace
{

constexpr u32 ENDPOINTS_MAX = 1 << 20;

Napi::Value counts_value(Napi::Env env, const std::vector<uint32_t> &counts)
{
	Napi::Uint32Array array = Napi::Uint32Array::New(env, counts.size());

	for (size_t i = 0; i < counts.size(); i++)
		array[i] = counts[i];
	return array;
}

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
	return PromiseJob<std::vector<uint32_t>>::start(
		info.Env(), "shunt TCP sessions",
		[endpoints = std::move(endpoints)] { return tcp_sessions(endpoints); }, counts_value);
}

} // namespace shunt
