// SPDX-License-Identifier: Apache-2.0
//
// host_mptcp.cc - the binding of MPTCP: a path manager whose events arrive by callback, and the list of subflows.
//
// Owns: the thread that waits for events; it ends with close(), or with the object.
// Must never: decide which address is announced, or call JavaScript outside its own thread.
#include <atomic>
#include <cerrno>
#include <memory>
#include <sys/eventfd.h>
#include <thread>

#include "addon/failure.h"
#include "addon/fields.h"
#include "addon/promise_job.h"
#include "linux/mptcp_path_manager.h"
#include "linux/mptcp_subflows.h"

namespace shunt
{

namespace
{

Napi::Object endpoint_value(Napi::Env env, const MptcpEndpoint &endpoint)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("address", Napi::Buffer<uint8_t>::Copy(env, endpoint.address.bytes.data(), 16));
	result.Set("port", endpoint.port);
	return result;
}

MptcpEndpoint endpoint_of(const Napi::Value &value, const char *place)
{
	Fields fields(value, place);
	sh_addr address = fields.address("address");

	return {*IpAddress::from_bytes(address.b, sizeof(address.b)), (uint16_t)fields.number("port", 65535)};
}

// An argument that is an integer.
uint32_t number_of(const Napi::Value &value, const char *name, uint32_t least, uint32_t most)
{
	double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;

	if (number >= least && number <= most)
		return (uint32_t)number;
	Fields::complain_at(name, "must be a number of its range");
	return 0;
}

const char *type_text(MptcpEventType type)
{
	switch (type) {
	case MptcpEventType::established:
		return "established";
	case MptcpEventType::closed:
		return "closed";
	case MptcpEventType::subflow_established:
		return "subflow-established";
	case MptcpEventType::subflow_closed:
		return "subflow-closed";
	}
	return "";
}

Napi::Array event_values(Napi::Env env, const std::vector<MptcpEvent> &events)
{
	Napi::Array list = Napi::Array::New(env, events.size());

	for (u32 i = 0; i < events.size(); i++) {
		Napi::HandleScope scope(env);
		Napi::Object one = Napi::Object::New(env);

		one.Set("type", type_text(events[i].type));
		one.Set("token", events[i].token);
		one.Set("localId", events[i].local_id);
		one.Set("local", endpoint_value(env, events[i].local));
		one.Set("remote", endpoint_value(env, events[i].remote));
		list.Set(i, one);
	}
	return list;
}

Napi::Value subflow_values(Napi::Env env, const std::vector<MptcpSubflow> &subflows)
{
	Napi::Array list = Napi::Array::New(env, subflows.size());

	for (u32 i = 0; i < subflows.size(); i++) {
		Napi::HandleScope scope(env);
		const MptcpSubflow &from = subflows[i];
		Napi::Object one = Napi::Object::New(env);

		one.Set("token", from.token);
		one.Set("localId", from.local_id);
		one.Set("joined", from.joined);
		one.Set("local", endpoint_value(env, from.local));
		one.Set("remote", endpoint_value(env, from.remote));
		one.Set("bytesReceived", (double)from.bytes_received);
		one.Set("bytesSent", (double)from.bytes_sent);
		list.Set(i, one);
	}
	return list;
}

class MptcpObject : public Napi::ObjectWrap<MptcpObject>
{
public:
	// new MptcpPathManager((events, lost, error) => void)
	explicit MptcpObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<MptcpObject>(info)
	{
		Napi::Env env = info.Env();

		if (!info[0].IsFunction()) {
			throw_problem(env, "an MptcpPathManager takes a function, which is called with its events");
			return;
		}
		Status status = manager_.open();
		if (status.ok())
			status = events_.open(manager_);
		stop_ = Descriptor(eventfd(0, EFD_CLOEXEC));
		if (status.ok() && !stop_.is_open())
			status = Status::system("eventfd", errno);
		if (!status.ok()) {
			throw_failure(env, status);
			return;
		}
		on_events_ =
			Napi::ThreadSafeFunction::New(env, info[0].As<Napi::Function>(), "shunt MPTCP events", 0, 1);
		on_events_.Unref(env); // events alone do not keep the process alive
		thread_ = std::thread([this] { receive(); });
	}

	~MptcpObject() override { end(); }

	Napi::Value announce(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		uint32_t token = number_of(info[0], "token", 0, UINT32_MAX);
		auto id = (uint8_t)number_of(info[1], "id", 1, 255);
		MptcpEndpoint endpoint = endpoint_of(info[2], "endpoint");
		return result(info.Env(), [&] { return manager_.announce(token, id, endpoint); });
	}

	Napi::Value withdraw(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		uint32_t token = number_of(info[0], "token", 0, UINT32_MAX);
		auto id = (uint8_t)number_of(info[1], "id", 1, 255);
		return result(info.Env(), [&] { return manager_.withdraw(token, id); });
	}

	Napi::Value set_backup(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		uint32_t token = number_of(info[0], "token", 0, UINT32_MAX);
		MptcpEndpoint local = endpoint_of(info[1], "local");
		MptcpEndpoint remote = endpoint_of(info[2], "remote");
		bool backup = info[3].ToBoolean().Value();
		return result(info.Env(), [&] { return manager_.set_backup(token, local, remote, backup); });
	}

	Napi::Value kernel_endpoints(const Napi::CallbackInfo &info)
	{
		Result<uint32_t> count = manager_.kernel_endpoints();

		return count.ok() ? Napi::Number::New(info.Env(), *count) : throw_failure(info.Env(), count.status());
	}

	void close(const Napi::CallbackInfo &) { end(); }

private:
	template <typename Call> static Napi::Value result(Napi::Env env, const Call &call)
	{
		if (!Fields::problem().empty())
			return throw_problem(env, Fields::problem());
		Status status = call();
		return status.ok() ? env.Undefined() : throw_failure(env, status);
	}

	void receive()
	{
		for (;;) {
			Result<MptcpEventBatch> batch = events_.wait(stop_.get());

			if (stopping_)
				return;
			if (batch.ok() && batch->events.empty() && !batch->lost)
				continue;
			bool failed = !batch.ok();
			auto *passed = new Result<MptcpEventBatch>(std::move(batch));
			auto call = [](Napi::Env env, Napi::Function callback, Result<MptcpEventBatch> *from) {
				std::unique_ptr<Result<MptcpEventBatch>> owned(from);

				if (from->ok())
					callback.Call({event_values(env, (*from)->events),
					               Napi::Boolean::New(env, (*from)->lost), env.Null()});
				else
					callback.Call({Napi::Array::New(env), Napi::Boolean::New(env, true),
					               error_of(env, from->status()).Value()});
			};
			if (on_events_.BlockingCall(passed, call) != napi_ok) {
				delete passed;
				return;
			}
			if (failed)
				return;
		}
	}

	void end()
	{
		uint64_t one = 1;

		if (!thread_.joinable())
			return;
		stopping_ = true;
		if (write(stop_.get(), &one, sizeof(one)) == sizeof(one))
			thread_.join();
		on_events_.Release();
	}

	MptcpPathManager manager_;
	MptcpEventSocket events_;
	Descriptor stop_;
	std::atomic<bool> stopping_ = false;
	Napi::ThreadSafeFunction on_events_;
	std::thread thread_;
};

} // namespace

// mptcpSubflows(ports)
Napi::Value mptcp_subflows_binding(const Napi::CallbackInfo &info)
{
	std::vector<uint16_t> ports;

	Fields::begin();
	if (!info[0].IsArray())
		return throw_problem(info.Env(), "mptcpSubflows takes an array of ports");
	Napi::Array list = info[0].As<Napi::Array>();
	for (uint32_t i = 0; i < list.Length(); i++)
		ports.push_back((uint16_t)number_of(list.Get(i), "port", 1, 65535));
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	return PromiseJob<std::vector<MptcpSubflow>>::start(
		info.Env(), "shunt MPTCP subflows", [ports = std::move(ports)] { return mptcp_subflows(ports); },
		subflow_values);
}

Napi::Function mptcp_path_manager_class(Napi::Env env)
{
	using M = MptcpObject;

	return M::DefineClass(env, "MptcpPathManager",
	                      {
				      M::InstanceMethod("announce", &M::announce),
				      M::InstanceMethod("withdraw", &M::withdraw),
				      M::InstanceMethod("setBackup", &M::set_backup),
				      M::InstanceMethod("kernelEndpoints", &M::kernel_endpoints),
				      M::InstanceMethod("close", &M::close),
			      });
}

} // namespace shunt
