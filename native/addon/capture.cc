// SPDX-License-Identifier: Apache-2.0
//
// capture.cc - the CaptureStream class of the addon: packets for people, by promise.
//
// Owns: the translation of engine/capture_stream.h. A read waits on a thread of libuv's pool, one at a time.
// Must never: close the stream under a read.
#include "addon/doors.h"
#include "addon/fields.h"
#include "engine/capture_stream.h"

namespace shunt
{

namespace
{

class ReadJob : public Napi::AsyncWorker
{
public:
	ReadJob(Napi::Env env, std::shared_ptr<CaptureStream> stream, std::shared_ptr<bool> busy, u32 max, int timeout_ms)
		: Napi::AsyncWorker(env, "shunt capture"), deferred_(Napi::Promise::Deferred::New(env)),
		  stream_(std::move(stream)), busy_(std::move(busy)), max_(max), timeout_ms_(timeout_ms)
	{
		*busy_ = true;
	}

	Napi::Promise promise() const { return deferred_.Promise(); }

	void Execute() override
	{
		std::string problem;

		if (!stream_->read(max_, timeout_ms_, &packets_, &ended_, &problem))
			SetError(problem);
	}

	void OnOK() override
	{
		Napi::Array list = Napi::Array::New(Env(), packets_.size());

		for (u32 i = 0; i < packets_.size(); i++) {
			Napi::HandleScope scope(Env());
			Napi::Object packet = Napi::Object::New(Env());

			packet.Set("timestampNs", Napi::BigInt::New(Env(), (uint64_t)packets_[i].timestamp_ns));
			packet.Set("length", packets_[i].length);
			packet.Set("data",
				   Napi::Buffer<u8>::Copy(Env(), packets_[i].data.data(), packets_[i].data.size()));
			list.Set(i, packet);
		}
		Napi::Object result = Napi::Object::New(Env());
		result.Set("packets", list);
		result.Set("ended", ended_);
		*busy_ = false;
		deferred_.Resolve(result);
	}

	void OnError(const Napi::Error &error) override
	{
		*busy_ = false;
		deferred_.Reject(error.Value());
	}

private:
	Napi::Promise::Deferred deferred_;
	std::shared_ptr<CaptureStream> stream_; // keeps it open until this read is done
	std::shared_ptr<bool> busy_;
	u32 max_;
	int timeout_ms_;
	std::vector<StreamPacket> packets_;
	bool ended_ = false;
};

class CaptureObject : public Napi::ObjectWrap<CaptureObject>
{
public:
	explicit CaptureObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<CaptureObject>(info)
	{
		StreamOptions options;
		std::string problem;

		Fields::begin();
		Fields f(info[0], "");
		options.interface = f.text("interface");
		options.file = f.text("file");
		options.filter = f.text("filter");
		options.snaplen = (u32)f.number("snaplen", 262144, options.snaplen);
		options.promiscuous = f.flag("promiscuous", false);
		if (options.interface.empty() == options.file.empty())
			f.complain("", "a capture needs either an interface or a file");
		problem = Fields::problem();
		if (problem.empty())
			stream_ = open_capture_stream(options, &problem);
		if (!problem.empty())
			throw_problem(info.Env(), problem);
	}

	Napi::Value read(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		Fields f(info[0], "");
		u32 max = (u32)f.number("max", 65536, 64);
		int timeout_ms = (int)f.number("timeoutMs", 60000, 100);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		if (!stream_ || *busy_)
			return throw_problem(info.Env(), stream_ ? "the capture is being read already" : "the capture is closed");
		auto *job = new ReadJob(info.Env(), stream_, busy_, max, timeout_ms);
		Napi::Promise promise = job->promise();
		job->Queue(); // deletes itself
		return promise;
	}

	void close(const Napi::CallbackInfo &) { stream_.reset(); }

	Napi::Value linktype(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), stream_ ? stream_->linktype() : 0);
	}

	Napi::Value dropped(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), stream_ && !*busy_ ? (double)stream_->dropped() : 0);
	}

private:
	std::shared_ptr<CaptureStream> stream_;
	std::shared_ptr<bool> busy_ = std::make_shared<bool>(false);
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
