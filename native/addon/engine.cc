// SPDX-License-Identifier: Apache-2.0
//
// engine.cc - the Engine class of the addon.
//
// Owns: one engine/engine.h per JavaScript object, and the passing of a worker's end to JavaScript's thread.
// Must never: leave a thread running when its object is gone.
#include "addon/engine_options.h"
#include "addon/explanation.h"
#include "addon/exports.h"
#include "addon/failure.h"
#include "addon/sessions.h"
#include "addon/table_publication.h"
#include "addon/table_set.h"
#include "engine/failure_reports.h"
#include "kernel/sent_filter.h"
#include "linux/clock.h"
#include "user/fragment_sender.h"

#include <set>

namespace shunt
{

namespace
{

// Buckets of a removal by default: about a millisecond.
constexpr u64 REMOVE_SLICE = 65536;

constexpr const char *UNDER_WAY = "another publication is under way";

class EngineObject : public Napi::ObjectWrap<EngineObject>
{
public:
	explicit EngineObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<EngineObject>(info)
	{
		Fields::begin();
		Fields f(info[0], "");
		if (f.has("kernel"))
			open_kernel(info.Env(), f.object("kernel"));
		else
			open_user(info.Env(), f);
	}

	void open_kernel(Napi::Env env, const Fields &f)
	{
		KernelEngineOptions options = read_kernel_options(f);

		if (!Fields::problem().empty()) {
			throw_problem(env, Fields::problem());
			return;
		}
		options.make_fragment_sender = make_fragment_sender;
		auto engine = KernelEngine::create(std::move(options));
		if (!engine.ok()) {
			throw_failure(env, engine.status());
			return;
		}
		kernel_ = engine->get();
		engine_ = engine.take();
	}

	void open_user(Napi::Env env, const Fields &f)
	{
		UserEngineOptions options = read_user_options(f);

		if (!Fields::problem().empty()) {
			throw_problem(env, Fields::problem());
			return;
		}
		if (f.has("onEnd")) {
			on_end_ = Napi::ThreadSafeFunction::New(env, f.get("onEnd").As<Napi::Function>(),
			                                        "shunt worker", 0, 1);
			on_end_.Unref(env); // a running engine alone does not keep the process alive
			has_on_end_ = true;
			options.on_end = [this](u32 worker, const Status &status) { worker_ended(worker, status); };
		}
		for (const WorkerOptions &worker : options.workers)
			if (worker.capture.sent)
				user_interfaces_.insert(worker.capture.interface);
		auto engine = UserEngine::create(std::move(options));
		if (engine.ok())
			engine_ = engine.take();
		else
			throw_failure(env, engine.status());
	}

	~EngineObject() override
	{
		// A pinned engine in the kernel goes on until stop().
		if (engine_ && !kernel_)
			engine_->stop();
		if (has_on_end_)
			on_end_.Release();
	}

	Napi::Value publish(const Napi::CallbackInfo &info)
	{
		std::vector<std::string> warnings;

		if (publishing_)
			return throw_problem(info.Env(), UNDER_WAY);
		Fields::begin();
		TableSpec spec = read_table_set(Fields(info[0], ""));
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		if (Status status = engine_->publish(spec, &warnings); !status.ok())
			return throw_failure(info.Env(), status);
		return warning_list(info.Env(), warnings);
	}

	// The same, with the long lists packed, and all but the swap in a thread of libuv's pool. Returns a promise.
	Napi::Value publish_packed(const Napi::CallbackInfo &info)
	{
		if (publishing_)
			return throw_problem(info.Env(), UNDER_WAY);
		Fields::begin();
		auto *publication = new TablePublication(Value(), engine_.get(), [this] { publishing_ = false; });
		publication->read(Fields(info[0], ""), Fields(info[1], "packed"));
		if (!Fields::problem().empty()) {
			delete publication;
			return throw_problem(info.Env(), Fields::problem());
		}
		publishing_ = true;
		Napi::Promise promise = publication->promise();
		publication->Queue(); // deletes itself when it is over
		return promise;
	}

	void start(const Napi::CallbackInfo &info)
	{
		if (Status status = engine_->start(); !status.ok())
			throw_failure(info.Env(), status);
		// A killed daemon with the kernel's engine may have left its filters, over tables that are no longer published.
		for (const std::string &interface : user_interfaces_)
			SentFilter::remove(interface);
	}

	void stop(const Napi::CallbackInfo &) { engine_->stop(); }

	Napi::Value statistics(const Napi::CallbackInfo &info)
	{
		return statistics_memory(info.Env(), engine_->statistics());
	}

	Napi::Value sweep(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		Fields f(info[0], "");
		u64 from = f.number("from", 1ull << 40);
		u64 count = f.number("buckets", 1ull << 40);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());

		SweepResult r = engine_->sweep_slice(from, count);
		Napi::Object result = Napi::Object::New(info.Env());
		result.Set("next", (double)r.next);
		result.Set("live", (double)r.live);
		result.Set("expired", (double)r.expired);
		result.Set("duplicates", (double)r.duplicates);
		return result;
	}

	Napi::Value session_counts(const Napi::CallbackInfo &info)
	{
		return shunt::session_counts(info.Env(), engine_->counts());
	}

	Napi::Value session_table(const Napi::CallbackInfo &info)
	{
		const Sessions &sessions = engine_->sessions();
		Napi::Object result = Napi::Object::New(info.Env());

		result.Set("buckets", (double)sessions.buckets());
		result.Set("records4", (double)sessions.slots4());
		result.Set("records6", (double)sessions.slots6());
		u64 capacity4 = sessions.slots4() * Sessions::OCCUPANCY4 / 100;
		u64 capacity6 = sessions.slots6() * Sessions::OCCUPANCY6 / 100;
		result.Set("capacity", (double)(capacity4 + capacity6));
		return result;
	}

	Napi::Value sessions(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		Fields f(info[0], "");
		SessionFilter filter = read_filter(f);
		u64 limit = f.number("limit", 1u << 20, 1000);
		u64 from = f.number("from", 1ull << 40, 0);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());

		std::vector<SessionRow> rows =
			list_sessions(engine_->sessions(), filter, limit, engine_->now_tick(), &from);
		Napi::Array list = Napi::Array::New(info.Env(), rows.size());
		for (u32 i = 0; i < rows.size(); i++)
			list.Set(i, session_row(info.Env(), rows[i]));
		Napi::Object result = Napi::Object::New(info.Env());
		result.Set("rows", list);
		result.Set("next", (double)from);
		return result;
	}

	Napi::Value remove_sessions(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		Fields f(info[0], "");
		SessionFilter filter = read_filter(f);
		u64 from = f.number("from", 1ull << 40, 0);
		u64 count = f.number("buckets", 1ull << 40, REMOVE_SLICE);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());

		RemoveResult r = shunt::remove_sessions(engine_->sessions(), filter, engine_->now_tick(), from, count);
		Napi::Object result = Napi::Object::New(info.Env());
		result.Set("removed", (double)r.removed);
		result.Set("next", (double)r.next);
		return result;
	}

	Napi::Value failure_reports(const Napi::CallbackInfo &info)
	{
		std::vector<FailureReport> reports = take_failure_reports(engine_->sessions());
		Napi::Array list = Napi::Array::New(info.Env(), reports.size());

		for (u32 i = 0; i < reports.size(); i++) {
			Napi::Object one = Napi::Object::New(info.Env());

			one.Set("service", reports[i].service);
			one.Set("address", Napi::Buffer<u8>::Copy(info.Env(), reports[i].address.b, 16));
			one.Set("port", reports[i].port);
			one.Set("networks", Napi::BigInt::New(info.Env(), (uint64_t)reports[i].networks));
			list.Set(i, one);
		}
		return list;
	}

	Napi::Value explain(const Napi::CallbackInfo &info)
	{
		sh_flow flow = {};

		Fields::begin();
		Fields f(info[0], "");
		flow.source = f.address("source");
		flow.destination = f.address("destination");
		flow.source_port = sh_htons(f.number("sourcePort", 65535));
		flow.destination_port = sh_htons(f.number("destinationPort", 65535));
		flow.protocol = (u8)f.number("protocol", 255);
		flow.family = (u8)f.number("family", 6);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		return explanation_object(info.Env(),
		                          shunt::explain(engine_->tables(), engine_->sessions(), flow, monotonic_ns()));
	}

	Napi::Value retired_tables(const Napi::CallbackInfo &info)
	{
		return Napi::Number::New(info.Env(), (double)engine_->retired_tables());
	}

	// The state that only the kernel's engine has; undefined for the user-space engine.
	Napi::Value kernel(const Napi::CallbackInfo &info)
	{
		if (!kernel_)
			return info.Env().Undefined();
		Napi::Object result = Napi::Object::New(info.Env());
		Napi::Array links = Napi::Array::New(info.Env());
		for (auto &attachment : kernel_->attachments()) {
			Napi::Object link = Napi::Object::New(info.Env());

			link.Set("interface", attachment->interface());
			link.Set("mode", xdp_mode_name(attachment->mode()));
			link.Set("attached", attachment->attached());
			links.Set(links.Length(), link);
		}
		result.Set("links", links);
		result.Set("adopted", kernel_->adopted());
		result.Set("programId", kernel_->program_id());
		result.Set("unwatched", kernel_->unwatched());
		result.Set("unsent", kernel_->unsent());
		return result;
	}

	// For measurements and tests of the packet program.
	void pin_program(const Napi::CallbackInfo &info)
	{
		Status status = kernel_ ? kernel_->pin_program(info[0].As<Napi::String>())
		                        : Status::error("the user-space engine has no program to pin");

		if (!status.ok())
			throw_failure(info.Env(), status);
	}

private:
	// On the worker's thread.
	void worker_ended(u32 worker, const Status &status)
	{
		auto call = [worker, why = status.message()](Napi::Env env, Napi::Function on_end) {
			on_end.Call({Napi::Number::New(env, worker), Napi::String::New(env, why)});
		};

		on_end_.NonBlockingCall(call);
	}

	std::unique_ptr<Engine> engine_;
	KernelEngine *kernel_ = nullptr; // engine_, if it is one
	Napi::ThreadSafeFunction on_end_;
	bool has_on_end_ = false;
	bool publishing_ = false;               // in another thread
	std::set<std::string> user_interfaces_; // of a backend
};

} // namespace

Napi::Value pinned_mode_binding(const Napi::CallbackInfo &info)
{
	std::string interface = info[1].ToString();
	auto mode = Attachment::pinned_mode(interface, link_pin(info[0].ToString(), interface));

	return mode ? Napi::String::New(info.Env(), xdp_mode_name(*mode)) : info.Env().Undefined();
}

Napi::Function engine_class(Napi::Env env)
{
	using E = EngineObject;

	return E::DefineClass(env, "Engine",
	                      {
				      E::InstanceMethod("publish", &E::publish),
				      E::InstanceMethod("publishPacked", &E::publish_packed),
				      E::InstanceMethod("start", &E::start),
				      E::InstanceMethod("stop", &E::stop),
				      E::InstanceMethod("statistics", &E::statistics),
				      E::InstanceMethod("sweep", &E::sweep),
				      E::InstanceMethod("sessionCounts", &E::session_counts),
				      E::InstanceMethod("sessionTable", &E::session_table),
				      E::InstanceMethod("sessions", &E::sessions),
				      E::InstanceMethod("removeSessions", &E::remove_sessions),
				      E::InstanceMethod("failureReports", &E::failure_reports),
				      E::InstanceMethod("explain", &E::explain),
				      E::InstanceMethod("retiredTables", &E::retired_tables),
				      E::InstanceMethod("kernel", &E::kernel),
				      E::InstanceMethod("pinProgram", &E::pin_program),
			      });
}

} // namespace shunt
