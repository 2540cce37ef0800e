// SPDX-License-Identifier: Apache-2.0
//
// kernel_dump.cc - the KernelDump class of the addon: packets before and after the kernel's packet program, by promise.
//
// Owns: the translation of kernel/dump.h.
#include "addon/exports.h"
#include "addon/reading.h"
#include "kernel/dump.h"

#include <cstring>
#include <net/if.h>

namespace shunt
{

namespace
{

Napi::Value flow_object(Napi::Env env, const sh_flow &flow)
{
	if (!flow.family)
		return env.Null();
	Napi::Object result = Napi::Object::New(env);

	result.Set("source", Napi::Buffer<u8>::Copy(env, flow.source.b, sizeof(flow.source.b)));
	result.Set("sourcePort", sh_ntohs(flow.source_port));
	result.Set("destination", Napi::Buffer<u8>::Copy(env, flow.destination.b, sizeof(flow.destination.b)));
	result.Set("destinationPort", sh_ntohs(flow.destination_port));
	result.Set("protocol", flow.protocol);
	result.Set("family", flow.family);
	return result;
}

Napi::Object bytes_object(Napi::Env env, u32 length, const std::vector<u8> &data)
{
	Napi::Object result = Napi::Object::New(env);

	result.Set("length", length);
	result.Set("data", Napi::Buffer<u8>::Copy(env, data.data(), data.size()));
	return result;
}

Napi::Object packet_object(Napi::Env env, const DumpPacket &packet)
{
	const sh_dump_record &record = packet.record;
	Napi::Object result = Napi::Object::New(env);

	result.Set("timestampNs", Napi::BigInt::New(env, (uint64_t)packet.timestamp_ns));
	result.Set("reason", record.reason);
	result.Set("action", record.action);
	result.Set("target", record.target);
	result.Set("service", record.service);
	result.Set("ingress", record.ingress);
	result.Set("egress", record.egress);
	result.Set("queue", record.queue);
	result.Set("flow", flow_object(env, record.flow));
	result.Set("before", bytes_object(env, record.before_bytes, packet.before));
	result.Set("after", record.after_bytes ? bytes_object(env, record.after_bytes, packet.after) : env.Null());
	return result;
}

struct DumpSource {
	using Stream = KernelDump;
	using Batch = DumpBatch;

	static const char *name() { return "shunt kernel dump"; }

	static Result<DumpBatch> read(KernelDump *dump, u32 max, int timeout_ms) { return dump->read(max, timeout_ms); }

	static Napi::Object object(Napi::Env env, const DumpBatch &batch)
	{
		Napi::Array list = Napi::Array::New(env, batch.packets.size());
		Napi::Object counts = Napi::Object::New(env);
		Napi::Object result = Napi::Object::New(env);

		for (u32 i = 0; i < batch.packets.size(); i++) {
			Napi::HandleScope scope(env);

			list.Set(i, packet_object(env, batch.packets[i]));
		}
		counts.Set("seen", (double)batch.counts.seen);
		counts.Set("matched", (double)batch.counts.matched);
		counts.Set("suppressed", (double)batch.counts.suppressed);
		counts.Set("lost", (double)batch.counts.lost);
		result.Set("packets", list);
		result.Set("counts", counts);
		result.Set("programId", batch.program);
		result.Set("standIn", batch.tracing_copy);
		if (!batch.ended.empty())
			result.Set("ended", batch.ended);
		return result;
	}
};

// The address of a filter, and its prefix length as a mask over the 16 bytes.
void read_prefix(const Fields &f, const char *name, const char *bits_name, sh_addr *prefix, sh_addr *mask)
{
	if (!f.has(name))
		return;
	u32 bits = (u32)f.number(bits_name, 128, 128);
	*prefix = f.address(name);
	for (u32 i = 0; i < sizeof(mask->b); i++) {
		u32 here = bits > 8 * i ? bits - 8 * i : 0;

		mask->b[i] = here >= 8 ? 0xff : (u8)(0xff00 >> here);
		prefix->b[i] &= mask->b[i];
	}
}

DumpOptions read_dump_options(const Fields &f)
{
	DumpOptions o;
	sh_dump_wanted &filter = o.tap.filter;

	o.interface = f.text("interface");
	o.program = (u32)f.number("programId", 0xffffffff, 0);
	o.tap.ring_bytes = (u32)f.number("ringBytes", 1u << 30, o.tap.ring_bytes);
	std::string method = f.text("way");
	if (method == "probes" || method == "stand-in")
		o.method = method == "probes" ? DumpMethod::probes : DumpMethod::tracing_copy;
	else if (!method.empty())
		f.complain("way", "must be one of probes, stand-in");
	if (o.interface.empty() == !o.program)
		f.complain("", "a capture needs either an interface or a program's id");
	if (o.tap.ring_bytes < 65536 || o.tap.ring_bytes & (o.tap.ring_bytes - 1))
		f.complain("ringBytes", "must be a power of two, 65536 or more");
	read_prefix(f, "source", "sourceBits", &filter.source, &filter.source_mask);
	read_prefix(f, "destination", "destinationBits", &filter.destination, &filter.destination_mask);
	filter.source_port = sh_htons(f.number("sourcePort", 65535, 0));
	filter.destination_port = sh_htons(f.number("destinationPort", 65535, 0));
	filter.protocol = (u8)f.number("protocol", 255, 0);
	filter.before = (u16)f.number("before", SH_DUMP_MOST, SH_DUMP_MOST);
	filter.after = (u16)f.number("after", SH_DUMP_MOST, SH_DUMP_MOST);
	if (!f.has("reasons"))
		memset(filter.reasons, 0xff, sizeof(filter.reasons));
	f.list("reasons", [&](const Napi::Value &value, const std::string &place) {
		double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;

		if (number >= 0 && number < (int)SH_REASON_COUNT)
			filter.reasons[(u32)number / 64] |= 1ull << (u32)number % 64;
		else
			Fields::complain_at(place, "must be the number of a reason");
	});
	u64 rate = f.number("rate", 1000000000, 0);
	if (rate) {
		filter.interval_ns = 1000000000 / rate;
		filter.burst_ns = filter.interval_ns * (rate - 1);
	}
	return o;
}

class KernelDumpObject : public Napi::ObjectWrap<KernelDumpObject>
{
public:
	explicit KernelDumpObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<KernelDumpObject>(info)
	{
		Fields::begin();
		DumpOptions options = read_dump_options(Fields(info[0], ""));
		if (!Fields::problem().empty()) {
			throw_problem(info.Env(), Fields::problem());
			return;
		}
		auto dump = KernelDump::open(std::move(options));
		if (!dump.ok())
			throw_failure(info.Env(), dump.status());
		else
			reading_.open(dump.take());
	}

	Napi::Value read(const Napi::CallbackInfo &info) { return reading_.read(info); }
	void close(const Napi::CallbackInfo &) { reading_.close(); }

private:
	Reading<DumpSource> reading_;
};

} // namespace

Napi::Value xdp_program_binding(const Napi::CallbackInfo &info)
{
	Fields::begin();
	std::string interface = Fields(info[0], "").text("interface");
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	RunningProgram program = xdp_program_on(if_nametoindex(interface.c_str()));
	if (!program.id)
		return info.Env().Null();
	Napi::Object result = Napi::Object::New(info.Env());
	result.Set("id", program.id);
	result.Set("name", program.name);
	result.Set("ours", program.ours());
	return result;
}

Napi::Function kernel_dump_class(Napi::Env env)
{
	using D = KernelDumpObject;

	return D::DefineClass(env, "KernelDump",
	                      {
				      D::InstanceMethod("read", &D::read),
				      D::InstanceMethod("close", &D::close),
			      });
}

} // namespace shunt
