// SPDX-License-Identifier: Apache-2.0
//
// host.cc - the Host class of the addon: one netlink socket, and the questions it answers.
//
// Owns: the translation of native/host to JavaScript. All calls are short (microseconds) and do not wait.
// Must never: decide anything. src/engine/host.ts checks arguments before they come here.
#include "addon/host.h"

#include <cstring>
#include <map>
#include <memory>
#include <net/if.h>

#include "host/link.h"
#include "host/offload.h"
#include "host/route.h"
#include "host/tun.h"

namespace shunt
{

namespace
{

// {step, errno, message}: src/engine/host.ts makes a coded error of it.
Napi::Value raise(Napi::Env env, const Failure &failure)
{
	Napi::Error error = Napi::Error::New(env, std::string(failure.step) + ": " + strerror(failure.code));

	error.Set("step", Napi::String::New(env, failure.step));
	error.Set("errno", Napi::Number::New(env, failure.code));
	error.ThrowAsJavaScriptException();
	return env.Undefined();
}

Napi::Value raise_argument(Napi::Env env, const char *what)
{
	Napi::TypeError::New(env, what).ThrowAsJavaScriptException();
	return env.Undefined();
}

Napi::Value bytes(Napi::Env env, const u8 *data, size_t length)
{
	return Napi::Buffer<u8>::Copy(env, data, length);
}

Napi::Value bytes_or_null(Napi::Env env, bool there, const u8 *data, size_t length)
{
	return there ? bytes(env, data, length) : env.Null();
}

bool read_address(const Napi::CallbackInfo &info, size_t at, sh_addr *out)
{
	if (info.Length() <= at || !info[at].IsBuffer() || info[at].As<Napi::Buffer<u8>>().Length() != sizeof(out->b))
		return false;
	memcpy(out->b, info[at].As<Napi::Buffer<u8>>().Data(), sizeof(out->b));
	return true;
}

class Host : public Napi::ObjectWrap<Host>
{
public:
	static Napi::Function door(Napi::Env env)
	{
		return DefineClass(env, "Host",
				   {
					   InstanceMethod<&Host::link>("link"),
					   InstanceMethod<&Host::route>("route"),
					   InstanceMethod<&Host::neighbour>("neighbour"),
					   InstanceMethod<&Host::resolve>("resolve"),
					   InstanceMethod<&Host::features>("features"),
					   InstanceMethod<&Host::set_feature>("setFeature"),
					   InstanceMethod<&Host::open_counters>("openCounters"),
					   InstanceMethod<&Host::counters>("counters"),
					   InstanceMethod<&Host::close_counters>("closeCounters"),
					   InstanceMethod<&Host::tun>("openTun"),
				   });
	}

	explicit Host(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Host>(info)
	{
		if (Failure failure = route_.open())
			raise(info.Env(), failure);
	}

private:
	// link(name or ifindex)
	Napi::Value link(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		HostLink link;
		Failure failure;

		if (info.Length() < 1 || (!info[0].IsString() && !info[0].IsNumber()))
			return raise_argument(env, "link(name or ifindex)");
		failure = info[0].IsString() ? route_.link(info[0].As<Napi::String>().Utf8Value(), true, &link)
					     : route_.link(info[0].As<Napi::Number>().Uint32Value(), true, &link);
		if (failure)
			return raise(env, failure);
		Napi::Object out = Napi::Object::New(env);
		Napi::Array addresses = Napi::Array::New(env, link.addresses.size());
		for (u32 i = 0; i < link.addresses.size(); i++) {
			const HostAddress &from = link.addresses[i];
			Napi::Object address = Napi::Object::New(env);

			address.Set("address", bytes(env, from.address.b, sizeof(from.address.b)));
			address.Set("prefix", from.prefix);
			address.Set("family", from.family);
			address.Set("scope", from.scope);
			address.Set("flags", from.flags);
			addresses.Set(i, address);
		}
		out.Set("name", link.name);
		out.Set("ifindex", link.ifindex);
		out.Set("mtu", link.mtu);
		out.Set("up", (link.flags & IFF_UP) != 0);
		out.Set("carrier", (link.flags & IFF_RUNNING) != 0);
		out.Set("hardware", link.hardware);
		out.Set("mac", bytes_or_null(env, link.has_mac, link.mac, sizeof(link.mac)));
		out.Set("addresses", addresses);
		return out;
	}

	// route(address)
	Napi::Value route(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		sh_addr destination;
		HostRoute route;

		if (!read_address(info, 0, &destination))
			return raise_argument(env, "route(address of 16 bytes)");
		if (Failure failure = route_.route(destination, &route))
			return raise(env, failure);
		Napi::Object out = Napi::Object::New(env);
		out.Set("kind", route.kind);
		out.Set("ifindex", route.ifindex);
		out.Set("gateway", bytes_or_null(env, route.has_gateway, route.gateway.b, sizeof(route.gateway.b)));
		out.Set("source", bytes_or_null(env, route.has_source, route.source.b, sizeof(route.source.b)));
		out.Set("mtu", route.mtu);
		out.Set("hardware", route.hardware);
		out.Set("ownMac", bytes_or_null(env, route.has_mac, route.own_mac, sizeof(route.own_mac)));
		return out;
	}

	// neighbour(ifindex, address)
	Napi::Value neighbour(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		HostNeighbour neighbour;
		sh_addr address;

		if (!info[0].IsNumber() || !read_address(info, 1, &address))
			return raise_argument(env, "neighbour(ifindex, address of 16 bytes)");
		if (Failure failure =
			    route_.neighbour(info[0].As<Napi::Number>().Uint32Value(), address, &neighbour))
			return raise(env, failure);
		if (!neighbour.found)
			return env.Null();
		Napi::Object out = Napi::Object::New(env);
		out.Set("mac", bytes_or_null(env, neighbour.has_mac, neighbour.mac, sizeof(neighbour.mac)));
		out.Set("state", neighbour.state);
		return out;
	}

	// resolve(ifindex, address)
	Napi::Value resolve(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		sh_addr address;

		if (!info[0].IsNumber() || !read_address(info, 1, &address))
			return raise_argument(env, "resolve(ifindex, address of 16 bytes)");
		if (Failure failure = route_.resolve(info[0].As<Napi::Number>().Uint32Value(), address))
			return raise(env, failure);
		return env.Undefined();
	}

	// features(interface)
	Napi::Value features(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		std::vector<Feature> features;

		if (!info[0].IsString())
			return raise_argument(env, "features(interface)");
		if (Failure failure = offload_.read(info[0].As<Napi::String>().Utf8Value(), &features))
			return raise(env, failure);
		Napi::Array out = Napi::Array::New(env, features.size());
		for (u32 i = 0; i < features.size(); i++) {
			Napi::Object feature = Napi::Object::New(env);

			feature.Set("name", features[i].name);
			feature.Set("active", features[i].active);
			feature.Set("changeable", features[i].changeable);
			out.Set(i, feature);
		}
		return out;
	}

	// setFeature(interface, feature, active)
	Napi::Value set_feature(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();

		if (!info[0].IsString() || !info[1].IsString() || !info[2].IsBoolean())
			return raise_argument(env, "setFeature(interface, feature, active)");
		if (Failure failure = offload_.set(info[0].As<Napi::String>().Utf8Value(),
						   info[1].As<Napi::String>().Utf8Value(),
						   info[2].As<Napi::Boolean>().Value()))
			return raise(env, failure);
		return env.Undefined();
	}

	// openCounters(interface, speedBps: 0 for the driver's): a number to read them by
	Napi::Value open_counters(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		auto counters = std::make_unique<LinkCounters>();

		if (!info[0].IsString() || !info[1].IsNumber())
			return raise_argument(env, "openCounters(interface, speedBps)");
		if (Failure failure = counters->open(info[0].As<Napi::String>().Utf8Value(),
						     static_cast<u64>(info[1].As<Napi::Number>().Int64Value())))
			return raise(env, failure);
		counters_[++last_counters_] = std::move(counters);
		return Napi::Number::New(env, last_counters_);
	}

	// counters(number): the eight of enum LinkCounter, then the speed in bits per second
	Napi::Value counters(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		auto at = info[0].IsNumber() ? counters_.find(info[0].As<Napi::Number>().Uint32Value()) : counters_.end();
		u64 values[LINK_COUNTERS];

		if (at == counters_.end())
			return raise_argument(env, "counters(number of open counters)");
		if (Failure failure = at->second->read(values))
			return raise(env, failure);
		Napi::Array out = Napi::Array::New(env, LINK_COUNTERS + 1);
		for (u32 i = 0; i < LINK_COUNTERS; i++)
			out.Set(i, Napi::Number::New(env, static_cast<double>(values[i])));
		out.Set(static_cast<u32>(LINK_COUNTERS),
			Napi::Number::New(env, static_cast<double>(at->second->speed_bps())));
		return out;
	}

	Napi::Value close_counters(const Napi::CallbackInfo &info)
	{
		if (info[0].IsNumber())
			counters_.erase(info[0].As<Napi::Number>().Uint32Value());
		return info.Env().Undefined();
	}

	// openTun(name, severalQueues): who calls owns the descriptor
	Napi::Value tun(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		Tun tun;

		if (!info[0].IsString() || !info[1].IsBoolean())
			return raise_argument(env, "openTun(name, severalQueues)");
		if (Failure failure = open_tun(info[0].As<Napi::String>().Utf8Value(),
					       info[1].As<Napi::Boolean>().Value(), &tun))
			return raise(env, failure);
		Napi::Object out = Napi::Object::New(env);
		out.Set("fd", tun.fd.release());
		out.Set("ifindex", tun.ifindex);
		out.Set("name", tun.name);
		return out;
	}

	Route route_;
	Offload offload_;
	std::map<u32, std::unique_ptr<LinkCounters>> counters_;
	u32 last_counters_ = 0;
};

} // namespace

Napi::Object init_host(Napi::Env env, Napi::Object exports)
{
	exports.Set("Host", Host::door(env));
	return exports;
}

} // namespace shunt
