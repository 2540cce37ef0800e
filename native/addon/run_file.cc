// SPDX-License-Identifier: Apache-2.0
//
// run_file.cc - runFile of the addon: tables and a pcap in, pcaps and counters out.
//
// Owns: the translation of engine/run_file.h. It blocks; it is for tests and for the examination of files.
#include "engine/run_file.h"
#include "addon/exports.h"
#include "addon/failure.h"
#include "addon/sessions.h"
#include "addon/table_set.h"
#include "kernel/file_engine.h"
#include "user/capture.h"
#include "user/file_engine.h"
#include "user/fragment_sender.h"

namespace shunt
{

static Napi::Value numbers(Napi::Env env, const std::vector<u16> &from)
{
	Napi::Uint16Array array = Napi::Uint16Array::New(env, from.size());

	std::copy(from.begin(), from.end(), array.Data());
	return array;
}

Napi::Value run_file_binding(const Napi::CallbackInfo &info)
{
	FileRun run;

	Fields::begin();
	Fields f(info[0], "");
	f.list("steps", [&](const Napi::Value &value, const std::string &place) {
		Fields step(value, place);

		run.steps.push_back({step.number("at", 1ull << 40, 0), read_table_set(step.object("tables"))});
	});
	run.input = f.text("input");
	run.output = f.text("output");
	run.inner = f.text("inner");
	run.sessions4 = f.number("sessions4", 1u << 28, run.sessions4);
	run.sessions6 = f.number("sessions6", 1u << 28, run.sessions6);
	run.fragments = f.number("fragments", 1u << 24, run.fragments);
	f.list("sent", [&](const Napi::Value &value, const std::string &place) {
		if (value.IsNumber())
			run.sent.push_back((u64)value.As<Napi::Number>().Int64Value());
		else
			Fields::complain_at(place, "must be the index of a packet");
	});
	run.explain = f.flag("explain", false);
	if (!Fields::problem().empty())
		return throw_problem(info.Env(), Fields::problem());
	auto engine = f.flag("kernel", false) ? open_kernel_file_engine(run, make_fragment_sender)
	                                      : open_user_file_engine(run);
	if (!engine.ok())
		return throw_failure(info.Env(), engine.status());
	auto input = open_file_capture(run.input);
	if (!input.ok())
		return throw_failure(info.Env(), input.status());
	Result<FileRunResult> ran = run_file(run, input->get(), engine->get());
	if (!ran.ok())
		return throw_failure(info.Env(), ran.status());

	const FileRunResult &result = *ran;
	Napi::Object out = Napi::Object::New(info.Env());
	out.Set("statistics", statistics_memory(info.Env(), result.statistics));
	out.Set("reasons", Napi::Buffer<u8>::Copy(info.Env(), result.reasons.data(), result.reasons.size()));
	out.Set("packetTargets", numbers(info.Env(), result.targets));
	if (run.explain) {
		out.Set("explainedReasons", Napi::Buffer<u8>::Copy(info.Env(), result.explained_reasons.data(),
		                                                   result.explained_reasons.size()));
		out.Set("explainedTargets", numbers(info.Env(), result.explained_targets));
	}
	Napi::Array sessions = Napi::Array::New(info.Env(), result.sessions.size());
	for (u32 i = 0; i < result.sessions.size(); i++)
		sessions.Set(i, session_row(info.Env(), result.sessions[i]));
	out.Set("sessions", sessions);
	return out;
}

} // namespace shunt
