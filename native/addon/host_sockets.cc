// SPDX-License-Identifier: Apache-2.0
//
// host_sockets.cc - the binding boundSockets: the dump runs on a thread of libuv's pool, a promise resolves to the sockets.
//
// Owns: the translation of linux/bound_sockets.h.
// Must never: query the kernel on JavaScript's thread.
#include <netinet/in.h>

#include "addon/fields.h"
#include "addon/promise_job.h"
#include "linux/bound_sockets.h"

namespace shunt
{

namespace
{

Napi::Value sockets_value(Napi::Env env, const std::vector<BoundSocket> &sockets)
{
	Napi::Array array = Napi::Array::New(env);

	for (const BoundSocket &socket : sockets) {
		Napi::Object one = Napi::Object::New(env);

		one.Set("protocol", socket.protocol == IPPROTO_TCP ? "tcp" : "udp");
		one.Set("address", Napi::Buffer<uint8_t>::Copy(env, socket.address.bytes.data(), 16));
		one.Set("port", socket.port);
		one.Set("both", socket.both);
		one.Set("connected", socket.connected);
		one.Set("mptcp", socket.mptcp);
		array[array.Length()] = one;
	}
	return array;
}

} // namespace

Napi::Value bound_sockets_binding(const Napi::CallbackInfo &info)
{
	std::vector<uint16_t> ports;
	std::string protocol = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";

	if ((protocol != "tcp" && protocol != "udp") || !info[1].IsArray())
		return throw_problem(info.Env(), "boundSockets takes tcp or udp, and an array of ports");
	Napi::Array list = info[1].As<Napi::Array>();
	for (uint32_t i = 0; i < list.Length(); i++) {
		Napi::Value value = list.Get(i);
		int64_t port = value.IsNumber() ? value.As<Napi::Number>().Int64Value() : 0;

		if (port < 1 || port > 65535)
			return throw_problem(info.Env(), "a port of boundSockets must be from 1 to 65535");
		ports.push_back((uint16_t)port);
	}
	uint8_t number = protocol == "tcp" ? IPPROTO_TCP : IPPROTO_UDP;
	return PromiseJob<std::vector<BoundSocket>>::start(
		info.Env(), "shunt bound sockets",
		[number, ports = std::move(ports)] { return bound_sockets(number, ports); }, sockets_value);
}

} // namespace shunt
