// SPDX-License-Identifier: Apache-2.0
//
// host_sockets.cc - the binding boundSockets: the dump runs on a thread of libuv's pool, a promise resolves to the sockets.
//
// Owns: the translation of linux/bound_sockets.h.
// Must never: query the kernel on JavaScript's thread.
#include <netinet/in.h>

#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/bound_sockets.h"

namespace shunt
{

namespace
{

class BoundSocketsJob : public Napi::AsyncWorker
{
public:
	BoundSocketsJob(Napi::Env env, uint8_t protocol, std::vector<uint16_t> ports)
	    : Napi::AsyncWorker(env, "shunt bound sockets"), deferred_(Napi::Promise::Deferred::New(env)),
	      protocol_(protocol), ports_(std::move(ports))
	{
	}

	Napi::Promise promise() const { return deferred_.Promise(); }

	void Execute() override { result_ = bound_sockets(protocol_, ports_); }

	void OnOK() override
	{
		if (!result_.ok()) {
			deferred_.Reject(error_of(Env(), result_.status()).Value());
			return;
		}
		Napi::Array array = Napi::Array::New(Env());
		for (const BoundSocket &socket : *result_) {
			Napi::Object one = Napi::Object::New(Env());

			one.Set("protocol", socket.protocol == IPPROTO_TCP ? "tcp" : "udp");
			one.Set("address", Napi::Buffer<uint8_t>::Copy(Env(), socket.address.bytes.data(), 16));
			one.Set("port", socket.port);
			one.Set("both", socket.both);
			array[array.Length()] = one;
		}
		deferred_.Resolve(array);
	}

	void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

private:
	Napi::Promise::Deferred deferred_;
	uint8_t protocol_;
	std::vector<uint16_t> ports_;
	Result<std::vector<BoundSocket>> result_ = std::vector<BoundSocket>();
};

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
	auto *job = new BoundSocketsJob(info.Env(), protocol == "tcp" ? IPPROTO_TCP : IPPROTO_UDP, std::move(ports));
	Napi::Promise promise = job->promise();
	job->Queue(); // deletes itself
	return promise;
}

} // namespace shunt
