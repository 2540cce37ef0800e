// SPDX-License-Identifier: Apache-2.0
//
// sessions.cc (addon) - see the header.
#include "addon/sessions.h"

#include <algorithm>
#include <cmath>

namespace shunt
{

// The tick is 2^20 ns.
double ticks_to_ms(u32 ticks)
{
	return (double)((u64)ticks << SH_TICK_SHIFT) / 1e6;
}

const char *session_state(u8 flags)
{
	if (flags & SH_SESSION_CLOSING)
		return "closing";
	return flags & SH_SESSION_OPEN ? "established" : "half-open";
}

// Rounded up to a whole tick.
static u32 ticks_of(double ms)
{
	return (u32)std::min(std::ceil(ms * 1e6 / (1 << SH_TICK_SHIFT)), 4294967295.0);
}

SessionFilter read_filter(const Fields &f)
{
	SessionFilter filter;

	filter.by_service = f.has("service");
	filter.service = (u16)f.number("service", 65535, 0);
	filter.by_target = f.has("target") || f.has("targets");
	if (f.has("target"))
		filter.targets.push_back((u16)f.number("target", 65535));
	f.list("targets", [&](const Napi::Value &value, const std::string &place) {
		double id = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;

		if (id >= 0 && id <= 65535)
			filter.targets.push_back((u16)id);
		else
			Fields::complain_at(place, "must be the id of a target");
	});
	std::sort(filter.targets.begin(), filter.targets.end());
	filter.by_port = f.has("sourcePort");
	filter.source_port = (u16)f.number("sourcePort", 65535, 0);
	filter.by_source = f.has("source");
	if (filter.by_source)
		filter.source = f.address("source");
	filter.idle_at_least = ticks_of(f.real("idleAtLeastMs", 0));
	return filter;
}

Napi::Object session_row(Napi::Env env, const SessionRow &row)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("source", Napi::Buffer<u8>::Copy(env, row.source.b, sizeof(row.source.b)));
	result.Set("sourcePort", row.source_port);
	result.Set("service", row.service);
	result.Set("target", row.target);
	result.Set("family", row.family);
	result.Set("proven", row.proven);
	result.Set("state", session_state(row.state));
	result.Set("idleMs", ticks_to_ms(row.idle_ticks));
	return result;
}

template <typename Value> static Napi::Uint32Array by_id(Napi::Env env, Value value)
{
	Napi::Uint32Array array = Napi::Uint32Array::New(env, 65536);
	u32 *to = array.Data();

	for (u32 id = 0; id < 65536; id++)
		to[id] = value(id);
	return array;
}

Napi::Object session_counts(Napi::Env env, const SessionCounts &counts)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("services", by_id(env, [&](u32 id) { return counts.services[id]; }));
	result.Set("targets", by_id(env, [&](u32 id) { return counts.targets[id]; }));
	result.Set("sources", by_id(env, [&](u32 id) { return counts.sources.count((u16)id); }));
	result.Set("targetSources", by_id(env, [&](u32 id) { return counts.target_sources.count((u16)id); }));
	result.Set("targetSessions", by_id(env, [&](u32 id) {
			   return counts.targets[id] - counts.target_records[id] + counts.target_sources.count((u16)id);
		   }));
	return result;
}

} // namespace shunt
