// SPDX-License-Identifier: Apache-2.0
//
// capture.cc - the CaptureStream class of the addon: packets for display, by promise.
//
// Owns: the translation of user/capture_stream.h.
#include "addon/exports.h"
#include "addon/reading.h"
#include "user/capture_stream.h"

namespace shunt
{

namespace
{

struct CaptureSource {
	using Stream = CaptureStream;
	using Batch = StreamBatch;

	static const char *name() { return "shunt capture"; }

	static Result<StreamBatch> read(CaptureStream *stream, u32 max, int timeout_ms)
	{
		return stream->read(max, timeout_ms);
	}

	static Napi::Object object(Napi::Env env, const StreamBatch &batch)
	{
		Napi::Array list = Napi::Array::New(env, batch.packets.size());
		Napi::Object result = Napi::Object::New(env);

		for (u32 i = 0; i < batch.packets.size(); i++) {
			Napi::HandleScope scope(env);
			const StreamPacket &from = batch.packets[i];
			Napi::Object packet = Napi::Object::New(env);

			packet.Set("timestampNs", Napi::BigInt::New(env, (uint64_t)from.timestamp_ns));
			packet.Set("length", from.length);
			packet.Set("data", Napi::Buffer<u8>::Copy(env, from.data.data(), from.data.size()));
			list.Set(i, packet);
		}
		result.Set("packets", list);
		result.Set("ended", batch.ended);
		return result;
	}
};

class CaptureObject : public Napi::ObjectWrap<CaptureObject>
{
public:
	explicit CaptureObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<CaptureObject>(info)
	{
		StreamOptions options;

		Fields::begin();
		Fields f(info[0], "");
		options.interface = f.text("interface");
		options.file = f.text("file");
		options.filter = f.text("filter");
		options.snaplen = (u32)f.number("snaplen", 262144, options.snaplen);
		options.promiscuous = f.flag("promiscuous", false);
		if (options.interface.empty() == options.file.empty())
			f.complain("", "a capture needs either an interface or a file");
		if (!Fields::problem().empty()) {
			throw_problem(info.Env(), Fields::problem());
			return;
		}
		auto stream = open_capture_stream(options);
		if (!stream.ok())
			throw_failure(info.Env(), stream.status());
		else
			reading_.open(stream.take());
	}

	Napi::Value read(const Napi::CallbackInfo &info) { return reading_.read(info); }
	void close(const Napi::CallbackInfo &) { reading_.close(); }

	Napi::Value linktype(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), reading_.get() ? reading_.get()->linktype() : 0);
	}

	Napi::Value dropped(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), reading_.idle() ? (double)reading_.idle()->dropped() : 0);
	}

private:
	Reading<CaptureSource> reading_;
};

} // namespace

Napi::Function capture_class(Napi::Env env)
{
	using C = CaptureObject;

	return C::DefineClass(env, "CaptureStream",
	                      {
				      C::InstanceMethod("read", &C::read),
				      C::InstanceMethod("close", &C::close),
				      C::InstanceMethod("linktype", &C::linktype),
				      C::InstanceMethod("dropped", &C::dropped),
			      });
}

} // namespace shunt
