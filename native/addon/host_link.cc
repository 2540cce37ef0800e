// SPDX-License-Identifier: Apache-2.0
//
// host_link.cc - LinkCounters and QueueCounters of the addon: traffic and state of a network interface.
//
// Owns: the translation of linux/link_counters.h and linux/queue_counters.h.
// Must never: compute a rate (src/load does).
#include <cstring>

#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/link_counters.h"
#include "linux/queue_counters.h"

namespace shunt
{

namespace
{

// As src/engine/host.ts calls them.
const char *const QUEUE_NAMES[QUEUE_COUNTERS] = {"rxPackets", "rxBytes", "rxDrops", "txPackets", "txBytes", "txDrops"};

class LinkCountersObject : public Napi::ObjectWrap<LinkCountersObject>
{
public:
	explicit LinkCountersObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<LinkCountersObject>(info)
	{
		u64 speed = info[1].IsNumber() ? (u64)info[1].As<Napi::Number>().Int64Value() : 0;

		if (Status status = counters_.open(info[0].ToString().Utf8Value(), speed); !status.ok())
			throw_failure(info.Env(), status);
	}

	// Fills the given BigUint64Array of LINK_COUNTERS entries: nothing is allocated.
	Napi::Value read(const Napi::CallbackInfo &info)
	{
		if (!info[0].IsTypedArray() ||
		    info[0].As<Napi::TypedArray>().TypedArrayType() != napi_biguint64_array ||
		    info[0].As<Napi::TypedArray>().ElementLength() < LINK_COUNTERS)
			return throw_problem(info.Env(), "counters are read into a BigUint64Array of 8");
		Result<LinkCounts> counts = counters_.read();
		if (!counts.ok())
			return throw_failure(info.Env(), counts.status());
		memcpy(info[0].As<Napi::BigUint64Array>().Data(), counts->data(), sizeof(*counts));
		return info[0];
	}

	Napi::Value speed_bps(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), (double)counters_.speed_bps());
	}

	Napi::Value state(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		Result<LinkState> state = counters_.state();

		if (!state.ok())
			return throw_failure(env, state.status());
		Napi::Object result = Napi::Object::New(env);
		result.Set("up", state->up);
		result.Set("operstate", state->operstate);
		result.Set("carrier", state->carrier < 0 ? env.Null() : Napi::Boolean::New(env, state->carrier != 0));
		result.Set("duplex", state->duplex.empty() ? env.Null() : Napi::String::New(env, state->duplex));
		result.Set("speedBps", (double)state->speed_bps);
		return result;
	}

private:
	LinkCounters counters_;
};

class QueueCountersObject : public Napi::ObjectWrap<QueueCountersObject>
{
public:
	explicit QueueCountersObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<QueueCountersObject>(info)
	{
		if (Status status = counters_.open(info[0].ToString().Utf8Value()); !status.ok())
			throw_failure(info.Env(), status);
	}

	Napi::Value read(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		Result<std::vector<QueueRow>> rows = counters_.read();

		if (!rows.ok())
			return throw_failure(env, rows.status());
		Napi::Array list = Napi::Array::New(env, rows->size());
		for (u32 i = 0; i < rows->size(); i++) {
			const QueueRow &from = (*rows)[i];
			Napi::Object row = Napi::Object::New(env);

			row.Set("queue", from.queue);
			for (u32 k = 0; k < QUEUE_COUNTERS; k++)
				row.Set(QUEUE_NAMES[k],
				        from.known & 1U << k ? Napi::BigInt::New(env, from.counters[k]) : env.Null());
			list.Set(i, row);
		}
		return list;
	}

	Napi::Value raw(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		Result<std::vector<RawCounter>> counters = counters_.raw();

		if (!counters.ok())
			return throw_failure(env, counters.status());
		Napi::Array list = Napi::Array::New(env, counters->size());
		for (u32 i = 0; i < counters->size(); i++) {
			const RawCounter &from = (*counters)[i];
			Napi::Object one = Napi::Object::New(env);

			one.Set("name", from.name);
			one.Set("value", Napi::BigInt::New(env, from.value));
			list.Set(i, one);
		}
		return list;
	}

private:
	QueueCounters counters_;
};

} // namespace

Napi::Function link_counters_class(Napi::Env env)
{
	using L = LinkCountersObject;

	return L::DefineClass(env, "LinkCounters",
	                      {
				      L::InstanceMethod("read", &L::read),
				      L::InstanceMethod("speedBps", &L::speed_bps),
				      L::InstanceMethod("state", &L::state),
			      });
}

Napi::Function queue_counters_class(Napi::Env env)
{
	using Q = QueueCountersObject;

	return Q::DefineClass(env, "QueueCounters",
	                      {
				      Q::InstanceMethod("read", &Q::read),
				      Q::InstanceMethod("raw", &Q::raw),
			      });
}

} // namespace shunt
