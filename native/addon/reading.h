// SPDX-License-Identifier: Apache-2.0
//
// reading.h - reads of a stream of packets from JavaScript: by promise, one at a time, on a thread of libuv's pool.
//
// Owns: the job, and that the stream stays open until its read is done.
// Must never: know what is read. A `Source` has: Stream, Batch, name(), read(stream, max, timeout_ms), which returns a
// Result<Batch>, and object(env, batch).
#ifndef SHUNT_ADDON_READING_H
#define SHUNT_ADDON_READING_H

#include <memory>
#include <optional>

#include "addon/failure.h"
#include "addon/fields.h"

namespace shunt
{

template <typename Source> class Reading
{
public:
	using Stream = typename Source::Stream;

	void open(std::unique_ptr<Stream> stream) { stream_ = std::move(stream); }
	void close() { stream_.reset(); }
	// NULL: the stream is closed, or a read is in progress.
	Stream *idle() const { return stream_ && !*busy_ ? stream_.get() : nullptr; }
	Stream *get() const { return stream_.get(); }

	Napi::Value read(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		Fields f(info[0], "");
		u32 max = (u32)f.number("max", 65536, 64);
		int timeout_ms = (int)f.number("timeoutMs", 60000, 100);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		if (!stream_ || *busy_)
			return throw_problem(info.Env(),
			                     stream_ ? "the capture is being read already; await that read first"
			                             : "the capture is closed");
		auto *job = new Job(info.Env(), stream_, busy_, max, timeout_ms);
		Napi::Promise promise = job->promise();
		job->Queue(); // deletes itself
		return promise;
	}

private:
	class Job : public Napi::AsyncWorker
	{
	public:
		Job(Napi::Env env, std::shared_ptr<Stream> stream, std::shared_ptr<bool> busy, u32 max, int timeout_ms)
		    : Napi::AsyncWorker(env, Source::name()), deferred_(Napi::Promise::Deferred::New(env)),
		      stream_(std::move(stream)), busy_(std::move(busy)), max_(max), timeout_ms_(timeout_ms)
		{
			*busy_ = true;
		}

		Napi::Promise promise() const { return deferred_.Promise(); }

		void Execute() override
		{
			result_ = Source::read(stream_.get(), max_, timeout_ms_);
			if (!result_->ok())
				SetError(result_->status().message());
		}

		void OnOK() override
		{
			Napi::Object result = Source::object(Env(), **result_);

			*busy_ = false;
			deferred_.Resolve(result);
		}

		void OnError(const Napi::Error &) override
		{
			*busy_ = false;
			deferred_.Reject(error_of(Env(), result_->status()).Value());
		}

	private:
		Napi::Promise::Deferred deferred_;
		std::shared_ptr<Stream> stream_; // keeps it open until this read is done
		std::shared_ptr<bool> busy_;
		u32 max_;
		int timeout_ms_;
		std::optional<Result<typename Source::Batch>> result_; // set by Execute()
	};

	std::shared_ptr<Stream> stream_;
	std::shared_ptr<bool> busy_ = std::make_shared<bool>(false);
};

} // namespace shunt

#endif
