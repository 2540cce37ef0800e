// SPDX-License-Identifier: Apache-2.0
//
// agent.cc - the AgentPrograms class of the addon: the host agent's BPF programs, and their events by promise.
//
// Owns: the translation of agent/agent.h.
#include "agent/agent.h"
#include "addon/exports.h"
#include "addon/reading.h"

namespace shunt
{

namespace
{

const char *kind_name(u32 kind)
{
	return kind == AG_TRAFFIC       ? "traffic"
	       : kind == AG_UNREACHABLE ? "unreachable"
	       : kind == AG_OFFERED     ? "offered"
	       : kind == AG_ACCEPTED    ? "accepted"
	                                : "refused";
}

struct AgentSource {
	using Stream = Agent;
	using Batch = std::vector<ag_event>;

	static const char *name() { return "shunt agent"; }

	static Result<Batch> read(Agent *agent, u32 max, int timeout_ms) { return agent->read(max, timeout_ms); }

	static Napi::Object object(Napi::Env env, const Batch &batch)
	{
		Napi::Array list = Napi::Array::New(env, batch.size());

		for (u32 i = 0; i < batch.size(); i++) {
			Napi::Object one = Napi::Object::New(env);

			one.Set("kind", kind_name(batch[i].kind));
			one.Set("index", batch[i].index);
			one.Set("target", Napi::Buffer<u8>::Copy(env, batch[i].target.b, sizeof(batch[i].target.b)));
			one.Set("port", sh_ntohs(batch[i].port));
			if (batch[i].source_port) {
				one.Set("source",
				        Napi::Buffer<u8>::Copy(env, batch[i].source.b, sizeof(batch[i].source.b)));
				one.Set("sourcePort", sh_ntohs(batch[i].source_port));
			}
			if (batch[i].header_bytes && batch[i].header_bytes <= AG_HEADER_BYTES)
				one.Set("header", Napi::Buffer<u8>::Copy(env, batch[i].header, batch[i].header_bytes));
			if (batch[i].syn.length && batch[i].syn.length <= AG_SYN_BYTES) {
				one.Set("syn", Napi::Buffer<u8>::Copy(env, batch[i].syn.frame, batch[i].syn.length));
				one.Set("ifindex", batch[i].syn.ifindex);
			}
			list.Set(i, one);
		}
		return list;
	}
};

class AgentObject : public Napi::ObjectWrap<AgentObject>
{
public:
	explicit AgentObject(const Napi::CallbackInfo &info) : Napi::ObjectWrap<AgentObject>(info)
	{
		std::vector<std::string> interfaces;

		Fields::begin();
		Fields(info[0], "").list("interfaces", [&](const Napi::Value &value, const std::string &place) {
			if (value.IsString())
				interfaces.push_back(value.As<Napi::String>().Utf8Value());
			else
				Fields::complain_at(place, "must be the name of an interface");
		});
		if (!Fields::problem().empty()) {
			throw_problem(info.Env(), Fields::problem());
			return;
		}
		auto agent = Agent::open(interfaces);
		if (!agent.ok())
			throw_failure(info.Env(), agent.status());
		else
			reading_.open(agent.take());
	}

	Napi::Value read(const Napi::CallbackInfo &info) { return reading_.read(info); }
	// A read in progress ends first; then the hooks are removed.
	void close(const Napi::CallbackInfo &) { reading_.close(); }

	Napi::Value put(const Napi::CallbackInfo &info)
	{
		ag_service_key key = {};
		AgentBinding binding;

		Fields::begin();
		Fields f(info[0], "");
		key.address = f.address("address");
		key.port = sh_htons((u16)f.number("port", 65535));
		key.protocol = (u8)f.number("protocol", 255);
		u32 index = (u32)f.number("index", AG_SERVICES - 1);
		u8 nonce[8] = {};
		if (f.has("nonce"))
			f.bytes("nonce", nonce, sizeof(nonce));
		bool once = f.flag("once", false);
		bool bound = f.has("binding");
		if (bound) {
			Fields b = f.object("binding");

			binding.target = b.address("target");
			binding.source = b.address("source");
			binding.port = (u16)b.number("port", 65535);
			binding.ifindex = (u32)b.number("ifindex", 0x7fffffff, 0);
			binding.for_ms = b.number("forMs", 1ull << 40);
			binding.once = b.flag("once", false);
		}
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		Agent *agent = reading_.get();
		return result_of(info.Env(),
		                 agent ? agent->put(key, index, nonce, once, bound ? &binding : nullptr) : closed());
	}

	Napi::Value bindFlow(const Napi::CallbackInfo &info)
	{
		AgentPath path;

		Fields::begin();
		Fields f(info[0], "");
		path.flow = flow_of(f);
		path.index = (u32)f.number("index", AG_SERVICES - 1);
		path.target = f.address("target");
		path.port = (u16)f.number("targetPort", 65535);
		path.ifindex = (u32)f.number("ifindex", 0x7fffffff, 0);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		Agent *agent = reading_.get();
		Result<bool> bound = agent ? agent->bind_flow(path) : Result<bool>(closed());
		if (!bound.ok())
			return throw_failure(info.Env(), bound.status());
		return Napi::Boolean::New(info.Env(), *bound);
	}

	Napi::Value unbindFlow(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		sh_flow flow = flow_of(Fields(info[0], ""));
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		if (Agent *agent = reading_.get())
			agent->unbind_flow(flow);
		return info.Env().Undefined();
	}

	Napi::Value activity(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		sh_flow flow = flow_of(Fields(info[0], ""));
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		Agent *agent = reading_.get();
		AgentActivity activity = agent ? agent->activity(flow) : AgentActivity{};
		Napi::Object result = Napi::Object::New(info.Env());
		result.Set("sentMs", 1e-6 * (double)activity.sent_ns);
		result.Set("heardMs", 1e-6 * (double)activity.heard_ns);
		return result;
	}

	Napi::Value beat(const Napi::CallbackInfo &info)
	{
		Agent *agent = reading_.get();

		return result_of(info.Env(), agent ? agent->beat() : closed());
	}

	Napi::Value counts(const Napi::CallbackInfo &info)
	{
		Fields::begin();
		u32 index = (u32)Fields(info[0], "").number("index", AG_SERVICES - 1);
		if (!Fields::problem().empty())
			return throw_problem(info.Env(), Fields::problem());
		Agent *agent = reading_.get();
		Result<ag_counts> read = agent ? agent->counts(index) : Result<ag_counts>(closed());
		if (!read.ok())
			return throw_failure(info.Env(), read.status());
		const ag_counts &counts = *read;
		Napi::Object result = Napi::Object::New(info.Env());
		result.Set("toGateway", (double)counts.to_gateway);
		result.Set("toTarget", (double)counts.to_target);
		result.Set("fromTarget", (double)counts.from_target);
		result.Set("errors", (double)counts.errors);
		result.Set("refused", (double)counts.refused);
		result.Set("handshakes", (double)counts.handshakes);
		result.Set("toBound", (double)counts.to_bound);
		result.Set("fromBound", (double)counts.from_bound);
		return result;
	}

	Napi::Value redirected(const Napi::CallbackInfo &info)
	{
		Agent *agent = reading_.get();
		Result<std::vector<AgentFlow>> read =
			agent ? agent->redirected() : Result<std::vector<AgentFlow>>(closed());
		if (!read.ok())
			return throw_failure(info.Env(), read.status());
		Napi::Array list = Napi::Array::New(info.Env(), read->size());
		for (u32 i = 0; i < read->size(); i++) {
			const AgentFlow &flow = (*read)[i];
			Napi::Object one = Napi::Object::New(info.Env());

			one.Set("protocol", flow.protocol == SH_TCP ? "tcp" : "udp");
			one.Set("address", Napi::Buffer<u8>::Copy(info.Env(), flow.source.b, sizeof(flow.source.b)));
			one.Set("port", flow.port);
			one.Set("quietMs", (double)flow.quiet_ms);
			list[i] = one;
		}
		return list;
	}

private:
	// A UDP flow, as a packet of it is read in the programs.
	static sh_flow flow_of(const Fields &f)
	{
		sh_flow flow = {};

		flow.source = f.address("source");
		flow.source_port = sh_htons((u16)f.number("sourcePort", 65535));
		flow.destination = f.address("address");
		flow.destination_port = sh_htons((u16)f.number("port", 65535));
		bool mapped = flow.destination.d[0] == 0 && flow.destination.w[2] == sh_htonl(0xffff);
		flow.protocol = SH_UDP;
		flow.family = mapped ? SH_IPV4 : SH_IPV6;
		return flow;
	}
	static Status closed() { return Status::error("the agent is closed"); }
	static Napi::Value result_of(Napi::Env env, const Status &status)
	{
		return status.ok() ? env.Undefined() : throw_failure(env, status);
	}

	Reading<AgentSource> reading_;
};

} // namespace

Napi::Function agent_class(Napi::Env env)
{
	using A = AgentObject;

	return A::DefineClass(env, "AgentPrograms",
	                      {
				      A::InstanceMethod("put", &A::put),
				      A::InstanceMethod("bindFlow", &A::bindFlow),
				      A::InstanceMethod("unbindFlow", &A::unbindFlow),
				      A::InstanceMethod("activity", &A::activity),
				      A::InstanceMethod("beat", &A::beat),
				      A::InstanceMethod("counts", &A::counts),
				      A::InstanceMethod("redirected", &A::redirected),
				      A::InstanceMethod("read", &A::read),
				      A::InstanceMethod("close", &A::close),
			      });
}

} // namespace shunt
