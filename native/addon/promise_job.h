// SPDX-License-Identifier: Apache-2.0
//
// promise_job.h - work in a thread of libuv's pool, and a promise of its result.
//
// Owns: the job, which deletes itself when it is over, and the translation of a failed result into a rejection.
// Must never: touch JavaScript's values in the work.
#ifndef SHUNT_ADDON_PROMISE_JOB_H
#define SHUNT_ADDON_PROMISE_JOB_H

#include <functional>
#include <optional>

#include "addon/failure.h"
#include "linux/status.h"

namespace shunt
{

template <typename T> class PromiseJob final : public Napi::AsyncWorker
{
public:
	using Work = std::function<Result<T>()>;
	using Translation = Napi::Value (*)(Napi::Env env, const T &result);

	// `name`: of the job, for tools that trace them.
	static Napi::Promise start(Napi::Env env, const char *name, Work work, Translation translate)
	{
		auto *job = new PromiseJob(env, name, std::move(work), translate);
		Napi::Promise promise = job->deferred_.Promise();

		job->Queue();
		return promise;
	}

protected:
	void Execute() override { result_ = work_(); }

	void OnOK() override
	{
		if (result_->ok())
			deferred_.Resolve(translate_(Env(), **result_));
		else
			deferred_.Reject(error_of(Env(), result_->status()).Value());
	}

private:
	PromiseJob(Napi::Env env, const char *name, Work work, Translation translate)
	    : Napi::AsyncWorker(env, name), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)),
	      translate_(translate)
	{
	}

	Napi::Promise::Deferred deferred_;
	Work work_;
	Translation translate_;
	std::optional<Result<T>> result_; // set by Execute()
};

} // namespace shunt

#endif
