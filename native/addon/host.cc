// SPDX-License-Identifier: Apache-2.0
//
// host.cc - the binding of native/linux: interfaces, routes, neighbours, offloads, tun devices.
//
// Owns: the translation; counters are in host_link.cc, TCP sessions in host_tcp.cc, ICMP errors in
// host_icmp.cc. Numbers are the kernel's
// (IFF_*, RTN_*, NUD_*, RT_SCOPE_*).
// Must never: decide anything.
#include <cerrno>

#include "addon/exports.h"
#include "addon/failure.h"
#include "addon/fields.h"
#include "linux/channels.h"
#include "linux/interface.h"
#include "linux/offload.h"
#include "linux/route.h"
#include "linux/tun.h"
#include "linux/unix_datagram.h"
#include "linux/xdp_features.h"

namespace shunt
{

namespace
{

Napi::Value bytes(Napi::Env env, const void *data, size_t length)
{
	return Napi::Buffer<u8>::Copy(env, static_cast<const u8 *>(data), length);
}

// A MAC address, or null.
Napi::Value mac(Napi::Env env, bool has, const uint8_t *address)
{
	return has ? bytes(env, address, 6) : env.Null();
}

Napi::Value ip(Napi::Env env, const std::optional<IpAddress> &address)
{
	return address ? bytes(env, address->bytes.data(), address->bytes.size()) : env.Null();
}

// The argument as 16 bytes; Fields::problem() where it is something else.
IpAddress ip_of(const Napi::Value &value, const char *name)
{
	sh_addr address = address_of(value, name);

	return *IpAddress::from_bytes(address.b, sizeof(address.b));
}

Napi::Value xdp_features_binding(const Napi::CallbackInfo &info)
{
	Result<uint64_t> features = xdp_features(info[0].As<Napi::Number>().Uint32Value());

	if (features.status().code() == ENOENT)
		return info.Env().Null();
	return features.ok() ? Napi::Number::New(info.Env(), (double)*features)
	                     : throw_failure(info.Env(), features.status());
}

// channels(name): null where the driver has no combined queues.
Napi::Value channels_binding(const Napi::CallbackInfo &info)
{
	Result<Channels> channels = read_channels(info[0].ToString());

	if (channels.status().code() == EOPNOTSUPP)
		return info.Env().Null();
	if (!channels.ok())
		return throw_failure(info.Env(), channels.status());
	Napi::Object result = Napi::Object::New(info.Env());
	result.Set("driver", channels->driver);
	result.Set("combined", channels->combined);
	result.Set("most", channels->most);
	return result;
}

// link(name) and link(ifindex)
Napi::Value link_binding(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	RouteSocket socket;

	Result<Interface> interface = info[0].IsNumber() ? read_interface(info[0].As<Napi::Number>().Uint32Value())
	                                                 : read_interface(info[0].ToString().Utf8Value());
	if (!interface.ok())
		return throw_failure(env, interface.status());
	if (Status status = socket.open(); !status.ok())
		return throw_failure(env, status);
	Result<std::vector<InterfaceAddress>> list = socket.addresses(interface->index);
	if (!list.ok())
		return throw_failure(env, list.status());
	Napi::Object result = Napi::Object::New(env);
	result.Set("ifindex", interface->index);
	result.Set("name", interface->name);
	result.Set("mtu", interface->mtu);
	result.Set("flags", interface->flags);
	result.Set("hardware", interface->hardware);
	result.Set("mac", mac(env, interface->has_mac, interface->mac));
	Napi::Array addresses = Napi::Array::New(env, list->size());
	for (u32 i = 0; i < list->size(); i++) {
		const InterfaceAddress &from = (*list)[i];
		Napi::Object address = Napi::Object::New(env);

		address.Set("address", ip(env, from.address));
		address.Set("prefix", from.prefix);
		address.Set("family", from.family);
		address.Set("scope", from.scope);
		address.Set("flags", from.flags);
		addresses.Set(i, address);
	}
	result.Set("addresses", addresses);
	return result;
}

Napi::Value route_binding(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	RouteSocket socket;

	Fields::begin();
	IpAddress destination = ip_of(info[0], "destination");
	if (!Fields::problem().empty())
		return throw_problem(env, Fields::problem());
	if (Status status = socket.open(); !status.ok())
		return throw_failure(env, status);
	Result<Route> route = socket.route(destination);
	if (!route.ok())
		return throw_failure(env, route.status());
	Napi::Object result = Napi::Object::New(env);
	result.Set("kind", route->kind);
	result.Set("ifindex", route->interface.index);
	result.Set("gateway", ip(env, route->gateway));
	result.Set("source", ip(env, route->source));
	result.Set("mtu", route->mtu);
	result.Set("ownMac", mac(env, route->interface.has_mac, route->interface.mac));
	result.Set("hardware", route->interface.hardware);
	return result;
}

// neighbour(ifindex, address)
Napi::Value neighbour_binding(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	RouteSocket socket;

	Fields::begin();
	IpAddress address = ip_of(info[1], "address");
	if (!Fields::problem().empty())
		return throw_problem(env, Fields::problem());
	if (Status status = socket.open(); !status.ok())
		return throw_failure(env, status);
	Result<std::optional<Neighbour>> found = socket.neighbour(info[0].ToNumber().Uint32Value(), address);
	if (!found.ok())
		return throw_failure(env, found.status());
	if (!*found)
		return env.Null();
	const Neighbour &neighbour = **found;
	Napi::Object result = Napi::Object::New(env);
	result.Set("mac", mac(env, neighbour.has_mac, neighbour.mac));
	result.Set("state", neighbour.state);
	return result;
}

// resolve(ifindex, address)
Napi::Value resolve_binding(const Napi::CallbackInfo &info)
{
	RouteSocket socket;

	Fields::begin();
	IpAddress address = ip_of(info[1], "address");
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	Status status = socket.open();
	if (status.ok())
		status = socket.resolve(info[0].ToNumber().Uint32Value(), address);
	return status.ok() ? info.Env().Undefined() : throw_failure(info.Env(), status);
}

Napi::Value offloads_binding(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Result<std::vector<Feature>> features = read_features(info[0].ToString().Utf8Value());

	if (!features.ok())
		return throw_failure(env, features.status());
	Napi::Array list = Napi::Array::New(env, features->size());
	for (u32 i = 0; i < features->size(); i++) {
		const Feature &from = (*features)[i];
		Napi::Object feature = Napi::Object::New(env);

		feature.Set("name", from.name);
		feature.Set("active", from.active);
		feature.Set("changeable", from.changeable);
		list.Set(i, feature);
	}
	return list;
}

Napi::Value set_offload_binding(const Napi::CallbackInfo &info)
{
	Status status = set_feature(info[0].ToString().Utf8Value(), info[1].ToString().Utf8Value(),
	                            info[2].ToBoolean().Value());

	return status.ok() ? info.Env().Undefined() : throw_failure(info.Env(), status);
}

// JavaScript owns the descriptor and closes it by fs.closeSync.
Napi::Value open_tun_binding(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Result<Tun> tun = open_tun(info[0].ToString().Utf8Value(), info[1].ToBoolean().Value());

	if (!tun.ok())
		return throw_failure(env, tun.status());
	Napi::Object result = Napi::Object::New(env);
	result.Set("ifindex", tun->ifindex);
	result.Set("name", tun->name);
	result.Set("fd", tun->fd.release());
	return result;
}

// sendUnixDatagram(socket, text)
Napi::Value send_unix_datagram_binding(const Napi::CallbackInfo &info)
{
	Status status = send_unix_datagram(info[0].ToString().Utf8Value(), info[1].ToString().Utf8Value());

	return status.ok() ? info.Env().Undefined() : throw_failure(info.Env(), status);
}

} // namespace

Napi::Object host(Napi::Env env)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("link", Napi::Function::New(env, link_binding, "link"));
	result.Set("route", Napi::Function::New(env, route_binding, "route"));
	result.Set("neighbour", Napi::Function::New(env, neighbour_binding, "neighbour"));
	result.Set("resolve", Napi::Function::New(env, resolve_binding, "resolve"));
	result.Set("offloads", Napi::Function::New(env, offloads_binding, "offloads"));
	result.Set("setOffload", Napi::Function::New(env, set_offload_binding, "setOffload"));
	result.Set("channels", Napi::Function::New(env, channels_binding, "channels"));
	result.Set("xdpFeatures", Napi::Function::New(env, xdp_features_binding, "xdpFeatures"));
	result.Set("openTun", Napi::Function::New(env, open_tun_binding, "openTun"));
	result.Set("boundSockets", Napi::Function::New(env, bound_sockets_binding, "boundSockets"));
	result.Set("sendUnixDatagram", Napi::Function::New(env, send_unix_datagram_binding, "sendUnixDatagram"));
	result.Set("tcpSessions", Napi::Function::New(env, tcp_sessions_binding, "tcpSessions"));
	result.Set("mptcpSubflows", Napi::Function::New(env, mptcp_subflows_binding, "mptcpSubflows"));
	result.Set("MptcpPathManager", mptcp_path_manager_class(env));
	result.Set("LinkCounters", link_counters_class(env));
	result.Set("QueueCounters", queue_counters_class(env));
	result.Set("IcmpErrors", icmp_errors_class(env));
	return result;
}

} // namespace shunt
