// SPDX-License-Identifier: Apache-2.0
//
// host.cc - what this machine carries, for JavaScript: links, routes, neighbours, offloads, counters, a tun device.
//
// Owns: the translation of native/host. A refusal of the kernel is an Error whose `code` is errno's name ("ENODEV") and
// whose `errno` is the number; numbers are the kernel's (IFF_*, RTN_*, NUD_*, RT_SCOPE_*).
// Must never: decide anything.
#include <cstring>

#include "addon/doors.h"
#include "addon/fields.h"
#include "host/link.h"
#include "host/offload.h"
#include "host/route.h"
#include "host/tun.h"
#include "host/xdp_features.h"

namespace shunt
{

namespace
{

Napi::Value throw_failure(Napi::Env env, const Failure &failure)
{
	const char *name = strerrorname_np(failure.code);
	Napi::Error error = Napi::Error::New(env, std::string(failure.step) + ": " + strerror(failure.code));

	error.Set("code", name ? name : "EUNKNOWN");
	error.Set("errno", (double)failure.code);
	error.Set("step", failure.step);
	error.ThrowAsJavaScriptException();
	return env.Undefined();
}

Napi::Value bytes(Napi::Env env, const void *data, size_t length)
{
	return Napi::Buffer<u8>::Copy(env, static_cast<const u8 *>(data), length);
}

Napi::Value mac(Napi::Env env, bool has, const u8 *address)
{
	return has ? bytes(env, address, 6) : env.Null();
}

Napi::Value xdp_features_door(const Napi::CallbackInfo &info)
{
	u64 features = 0;
	Failure failure = xdp_features(info[0].As<Napi::Number>().Uint32Value(), &features);

	if (failure && failure.code == ENOENT)
		return info.Env().Null();
	return failure ? throw_failure(info.Env(), failure) : Napi::Number::New(info.Env(), (double)features);
}

// By name or by index, as the argument is.
Napi::Value link_door(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	HostLink link;
	Route route;

	Failure failure = route.open();
	if (!failure)
		failure = info[0].IsNumber() ? route.link(info[0].As<Napi::Number>().Uint32Value(), true, &link)
					     : route.link(info[0].ToString().Utf8Value(), true, &link);
	if (failure)
		return throw_failure(env, failure);
	Napi::Object result = Napi::Object::New(env);
	result.Set("ifindex", link.ifindex);
	result.Set("name", link.name);
	result.Set("mtu", link.mtu);
	result.Set("flags", link.flags);
	result.Set("hardware", link.hardware);
	result.Set("mac", mac(env, link.has_mac, link.mac));
	Napi::Array addresses = Napi::Array::New(env, link.addresses.size());
	for (u32 i = 0; i < link.addresses.size(); i++) {
		const HostAddress &from = link.addresses[i];
		Napi::Object address = Napi::Object::New(env);

		address.Set("address", bytes(env, from.address.b, 16));
		address.Set("prefix", from.prefix);
		address.Set("family", from.family);
		address.Set("scope", from.scope);
		address.Set("flags", from.flags);
		addresses.Set(i, address);
	}
	result.Set("addresses", addresses);
	return result;
}

Napi::Value route_door(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	HostRoute found;
	Route route;

	Fields::begin();
	sh_addr destination = address_of(info[0], "destination");
	if (!Fields::problem().empty())
		return throw_problem(env, Fields::problem());
	Failure failure = route.open();
	if (!failure)
		failure = route.route(destination, &found);
	if (failure)
		return throw_failure(env, failure);
	Napi::Object result = Napi::Object::New(env);
	result.Set("kind", found.kind);
	result.Set("ifindex", found.ifindex);
	result.Set("gateway", found.has_gateway ? bytes(env, found.gateway.b, 16) : env.Null());
	result.Set("source", found.has_source ? bytes(env, found.source.b, 16) : env.Null());
	result.Set("mtu", found.mtu);
	result.Set("ownMac", mac(env, found.has_mac, found.own_mac));
	result.Set("hardware", found.hardware);
	return result;
}

// neighbour(ifindex, address) and resolve(ifindex, address)
Napi::Value neighbour_door(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	HostNeighbour found;
	Route route;

	Fields::begin();
	sh_addr address = address_of(info[1], "address");
	if (!Fields::problem().empty())
		return throw_problem(env, Fields::problem());
	Failure failure = route.open();
	if (!failure)
		failure = route.neighbour(info[0].ToNumber().Uint32Value(), address, &found);
	if (failure)
		return throw_failure(env, failure);
	if (!found.found)
		return env.Null();
	Napi::Object result = Napi::Object::New(env);
	result.Set("mac", mac(env, found.has_mac, found.mac));
	result.Set("state", found.state);
	return result;
}

Napi::Value resolve_door(const Napi::CallbackInfo &info)
{
	Route route;

	Fields::begin();
	sh_addr address = address_of(info[1], "address");
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	Failure failure = route.open();
	if (!failure)
		failure = route.resolve(info[0].ToNumber().Uint32Value(), address);
	return failure ? throw_failure(info.Env(), failure) : info.Env().Undefined();
}

Napi::Value offloads_door(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::vector<Feature> features;

	if (Failure failure = Offload().read(info[0].ToString().Utf8Value(), &features))
		return throw_failure(env, failure);
	Napi::Array list = Napi::Array::New(env, features.size());
	for (u32 i = 0; i < features.size(); i++) {
		Napi::Object feature = Napi::Object::New(env);

		feature.Set("name", features[i].name);
		feature.Set("active", features[i].active);
		feature.Set("changeable", features[i].changeable);
		list.Set(i, feature);
	}
	return list;
}

Napi::Value set_offload_door(const Napi::CallbackInfo &info)
{
	Failure failure = Offload().set(info[0].ToString().Utf8Value(), info[1].ToString().Utf8Value(),
					info[2].ToBoolean().Value());

	return failure ? throw_failure(info.Env(), failure) : info.Env().Undefined();
}

// The descriptor becomes JavaScript's, which closes it by fs.closeSync.
Napi::Value open_tun_door(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Tun tun;

	if (Failure failure = open_tun(info[0].ToString().Utf8Value(), info[1].ToBoolean().Value(), &tun))
		return throw_failure(env, failure);
	Napi::Object result = Napi::Object::New(env);
	result.Set("ifindex", tun.ifindex);
	result.Set("name", tun.name);
	result.Set("fd", tun.fd.release());
	return result;
}

class LinkCountersObject : public Napi::ObjectWrap<LinkCountersObject>
{
public:
	explicit LinkCountersObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<LinkCountersObject>(info)
	{
		u64 speed = info[1].IsNumber() ? (u64)info[1].As<Napi::Number>().Int64Value() : 0;

		if (Failure failure = counters_.open(info[0].ToString().Utf8Value(), speed))
			throw_failure(info.Env(), failure);
	}

	// Fills the given BigUint64Array of LINK_COUNTERS entries: nothing is allocated.
	Napi::Value read(const Napi::CallbackInfo &info)
	{
		u64 now[LINK_COUNTERS];

		if (!info[0].IsTypedArray() ||
		    info[0].As<Napi::TypedArray>().TypedArrayType() != napi_biguint64_array ||
		    info[0].As<Napi::TypedArray>().ElementLength() < LINK_COUNTERS)
			return throw_problem(info.Env(), "counters are read into a BigUint64Array of 8");
		if (Failure failure = counters_.read(now))
			return throw_failure(info.Env(), failure);
		memcpy(info[0].As<Napi::BigUint64Array>().Data(), now, sizeof(now));
		return info[0];
	}

	Napi::Value speed_bps(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), (double)counters_.speed_bps());
	}

private:
	LinkCounters counters_;
};

} // namespace

Napi::Object host(Napi::Env env)
{
	using L = LinkCountersObject;
	Napi::Object result = Napi::Object::New(env);

	result.Set("link", Napi::Function::New(env, link_door, "link"));
	result.Set("route", Napi::Function::New(env, route_door, "route"));
	result.Set("neighbour", Napi::Function::New(env, neighbour_door, "neighbour"));
	result.Set("resolve", Napi::Function::New(env, resolve_door, "resolve"));
	result.Set("offloads", Napi::Function::New(env, offloads_door, "offloads"));
	result.Set("setOffload", Napi::Function::New(env, set_offload_door, "setOffload"));
	result.Set("xdpFeatures", Napi::Function::New(env, xdp_features_door, "xdpFeatures"));
	result.Set("openTun", Napi::Function::New(env, open_tun_door, "openTun"));
	result.Set("LinkCounters", L::DefineClass(env, "LinkCounters",
						  {
							  L::InstanceMethod("read", &L::read),
							  L::InstanceMethod("speedBps", &L::speed_bps),
						  }));
	return result;
}

} // namespace shunt
