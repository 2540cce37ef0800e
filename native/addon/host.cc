// SPDX-License-Identifier: Apache-2.0
//
// host.cc - what this machine carries, for JavaScript: links, routes, neighbours, offloads, a tun device.
//
// Owns: the translation of native/linux; counters are host_link.cc's, TCP sessions host_tcp.cc's. Numbers are the kernel's
// (IFF_*, RTN_*, NUD_*, RT_SCOPE_*).
// Must never: decide anything.
#include "addon/exports.h"
#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/offload.h"
#include "linux/route.h"
#include "linux/tun.h"
#include "linux/xdp_features.h"

namespace shunt
{

namespace
{

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

} // namespace

Napi::Object host(Napi::Env env)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("link", Napi::Function::New(env, link_door, "link"));
	result.Set("route", Napi::Function::New(env, route_door, "route"));
	result.Set("neighbour", Napi::Function::New(env, neighbour_door, "neighbour"));
	result.Set("resolve", Napi::Function::New(env, resolve_door, "resolve"));
	result.Set("offloads", Napi::Function::New(env, offloads_door, "offloads"));
	result.Set("setOffload", Napi::Function::New(env, set_offload_door, "setOffload"));
	result.Set("xdpFeatures", Napi::Function::New(env, xdp_features_door, "xdpFeatures"));
	result.Set("openTun", Napi::Function::New(env, open_tun_door, "openTun"));
	result.Set("tcpSessions", Napi::Function::New(env, tcp_sessions_door, "tcpSessions"));
	result.Set("LinkCounters", link_counters_class(env));
	result.Set("QueueCounters", queue_counters_class(env));
	return result;
}

} // namespace shunt
