// SPDX-License-Identifier: Apache-2.0
//
// reasons.cc - the table of reasons and the memory of the counters, for JavaScript.
//
// Owns: the translation of datapath/reasons.h into an array of {name, verdict, text}, in the order of their numbers, and of
// engine/statistics.h into offsets over one ArrayBuffer.
// Must never: name a reason of its own.
#include "datapath/reasons.h"
#include "addon/exports.h"

namespace shunt
{

static const char *verdict_name(unsigned verdict)
{
	switch (verdict) {
	case SH_FORWARD:
		return "forward";
	case SH_RETURN:
		return "return";
	case SH_INDICATE:
		return "indicate";
	case SH_PASS:
		return "pass";
	case SH_CONTROL:
		return "control";
	default:
		return "drop";
	}
}

Napi::Value reasons(Napi::Env env)
{
	Napi::Array list = Napi::Array::New(env, SH_REASON_COUNT);
	uint32_t i = 0;
	auto add = [&](const char *name, unsigned verdict, const char *text) {
		Napi::Object reason = Napi::Object::New(env);
		reason.Set("name", name);
		reason.Set("verdict", verdict_name(verdict));
		reason.Set("text", text);
		list.Set(i++, reason);
	};
#define X(name, verdict, text) add(#name, verdict, text);
	SH_REASONS(X)
#undef X
	return list;
}

Napi::Value statistics_layout(Napi::Env env)
{
	Napi::Object layout = Napi::Object::New(env);

	layout.Set("packetsIn", (u32)word::packets_in);
	layout.Set("bytesIn", (u32)word::bytes_in);
	layout.Set("state", (u32)word::state);
	layout.Set("captureDropped", (u32)word::capture_dropped);
	layout.Set("batches", (u32)word::batches);
	layout.Set("waits", (u32)word::waits);
	layout.Set("linkDown", (u32)word::link_down);
	layout.Set("notForUs", (u32)word::not_for_us);
	layout.Set("lostPackets", (u32)word::lost_packets);
	layout.Set("sentPackets", (u32)word::sent_packets);
	layout.Set("sentMade", (u32)word::sent_made);
	layout.Set("told", (u32)word::told);
	layout.Set("untold", (u32)word::untold);
	layout.Set("reasons", word::reason_packets(0));
	layout.Set("local", word::target_packets(SH_TARGET_LOCAL));
	layout.Set("targets", word::target_packets(0));
	return layout;
}

// The memory lives as long as JavaScript holds the buffer, with or without the engine.
Napi::Value statistics_memory(Napi::Env env, const std::shared_ptr<Statistics> &statistics)
{
	auto *held = new std::shared_ptr<Statistics>(statistics);
	Napi::Object result = Napi::Object::New(env);

	result.Set("memory", Napi::ArrayBuffer::New(env, statistics->data(), statistics->bytes(),
	                                            [held](Napi::Env, void *) { delete held; }));
	result.Set("stride", statistics->stride());
	result.Set("workers", statistics->workers());
	return result;
}

} // namespace shunt
